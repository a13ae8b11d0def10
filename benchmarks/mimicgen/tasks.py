"""The tasks: names in MimicGen, events as a user would write them. Imported by both environments."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One task of MimicGen."""

    key: str
    """Of its configuration in MimicGen: `exps/templates/robosuite/<key>.json`."""
    environment: str
    interface: str
    signals: tuple[str, ...]
    """Of every subtask but the last, in order."""
    events: tuple[str, ...]
    """What ends them, in words: what Kairoscope is asked for."""
    each_subtask_from_another: bool
    """`select_src_per_subtask` of MimicGen's core configuration of the task."""
    offsets: tuple[int, int]
    """`subtask_term_offset_range` there, the same for every signal."""
    selection: str
    """`selection_strategy` there."""
    model_is_drawn: bool
    """Whether part of the scene is drawn with the model, and not with the state of its joints."""


CASES: Mapping[str, Case] = {
    case.key: case
    for case in (
        Case(
            key="stack",
            environment="Stack_D1",
            interface="MG_Stack",
            signals=("grasp",),
            events=("grasping the red cube",),
            each_subtask_from_another=True,
            offsets=(10, 20),
            selection="nearest_neighbor_object",
            model_is_drawn=False,
        ),
        Case(
            key="stack_three",
            environment="StackThree_D1",
            interface="MG_StackThree",
            signals=("grasp_1", "stack_1", "grasp_2"),
            events=(
                "grasping the red cube",
                "placing the red cube on the green cube",
                "grasping the blue cube",
            ),
            each_subtask_from_another=True,
            offsets=(10, 20),
            selection="nearest_neighbor_object",
            model_is_drawn=False,
        ),
        Case(
            key="square",
            environment="Square_D1",
            interface="MG_Square",
            signals=("grasp",),
            events=("grasping the square nut",),
            each_subtask_from_another=False,
            offsets=(10, 20),
            selection="nearest_neighbor_object",
            model_is_drawn=True,
        ),
    )
}
