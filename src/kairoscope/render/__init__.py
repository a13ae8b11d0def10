"""Recorded simulations -> clips with exact event times: see `docs/render.md`.

A demonstration that robosuite recorded holds its model and the simulation's state at every frame.
MuJoCo alone draws them and tells from them when every subtask ends, by the predicates of the
simulated tasks themselves. Needs the extra `simulate` and the asset files of robosuite and MimicGen;
importing this package imports no mujoco.
"""
