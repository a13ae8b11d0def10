"""Everything that touches pixels: reading, sampling, stamping and cutting video into patches.

Import from the submodules. `clip`, `sampling`, `decode`, `stamps` and `stampfile` do without torch;
`frames`, `patches` and `sheet` need it, which is why nothing is re-exported here.
"""
