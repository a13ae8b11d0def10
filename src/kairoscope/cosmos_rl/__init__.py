"""Training configurations of cosmos-rl (TOML), read into ours and written for it. Pure, without torch.

`PIN` is release 0.2.6, with which the recipes were made; `HEAD` is 0.4.4, the newest known here.
"""
