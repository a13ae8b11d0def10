"""The model, the robot's signals and the prior, as one distribution for each boundary.

    boundaries = ends_in_turn(len(query))
    evidence = {"model": {"end 1": p_T, …}, "signals": {…}, "prior": {…}}   # what there is
    found = fuse(times_s, boundaries, evidence, default_pool())

`pool_fitting` has the default pool and learns others; docs/fusion.md says what was measured.
"""

from kairoscope.fusion.combine import (
    Evidence,
    Floats,
    Fused,
    Mix,
    Pool,
    Said,
    Trust,
    expected_error_s,
    fuse,
    marginals,
    on_frames,
    pooled_log,
    quantile_frame,
    speaking,
    within,
)
from kairoscope.fusion.order import Boundary, ends_by_arm, ends_in_turn, in_order, starts_and_ends

__all__ = [
    "Boundary",
    "Evidence",
    "Floats",
    "Fused",
    "Mix",
    "Pool",
    "Said",
    "Trust",
    "ends_by_arm",
    "ends_in_turn",
    "expected_error_s",
    "fuse",
    "in_order",
    "marginals",
    "on_frames",
    "pooled_log",
    "quantile_frame",
    "speaking",
    "starts_and_ends",
    "within",
]
