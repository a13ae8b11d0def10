"""What events' names mean for signals."""

import pytest

from kairoscope.data.taskfiles import load_task
from kairoscope.robot.wording import VERBS, meaning_of, names_object


@pytest.mark.parametrize(
    ("name", "action", "side"),
    [
        ("grasping the red cube", "grasp", None),
        ("releasing the red cube", "release", None),
        ("placing the red cylinder in the blue tray", "release", None),
        ("picking up the red cylinder from the table", "grasp", None),
        ("inserting the square nut", "insert", None),
        ("pushing the toaster", "push", None),
        ("pressing the blue button", "press", None),
        ("opening the drawer", "operate", None),
        ("closing the drawer", "operate", None),
        ("the gripper closes", "grasp", None),
        ("hand opens", "release", None),
        ("close the gripper", "grasp", None),
        ("right hand closes on bottle", "grasp", "right"),
        ("both grippers close on peg and socket", "grasp", "both"),
        ("left hand grasps", "grasp", "left"),
        ("grasp the cup with the left hand", "grasp", "left"),
        ("handing over the cube", "handover", None),
        ("hand the cube over to the left arm", "handover", None),
        ("grasp_1", "grasp", None),
        ("stack_1", "release", None),
        ("reach for and grasp the pear", "grasp", None),
        ("move the pear to the plate and release it", "release", None),
        ("carries it to the left gripper until the left gripper closes on it", "grasp", "left"),
        ("placing the cube to the left of the plate", "release", None),
        ("letting go of the cup", "release", None),
        ("retract", "other", None),
        ("", "other", None),
    ],
)
def test_action_and_side(name: str, action: str, side: str | None) -> None:
    meaning = meaning_of(name)
    assert (meaning.action, meaning.side) == (action, side)


@pytest.mark.parametrize("form", ["{}", "{}s", "{}ing", "{}ed"])
def test_forms_of_verbs_mean_the_same(form: str) -> None:
    for action, verbs in VERBS.items():
        for verb in verbs:
            if verb in ("open", "close", "shut"):  # of a drawer or of a hand
                continue
            stem = verb[:-1] if verb.endswith("e") and form in ("{}ing", "{}ed") else verb
            assert meaning_of(form.format(stem) + " the thing").action == action, verb


def test_every_event_of_the_shipped_tasks_is_understood() -> None:
    names = ["mimicgen_stack", "mimicgen_three_piece_assembly", "agibot_358_toaster"]
    names += ["isaac_lab_cube_stacking", "isaac_lab_nut_pouring", "mimicgen_nut_assembly"]
    for name in names:
        for event in load_task(name).events:
            assert meaning_of(event).action != "other", event


def test_objects_are_recognised_by_their_words() -> None:
    meaning = meaning_of("inserting the square nut")
    assert names_object(meaning, "SquareNut") == 1.0
    assert names_object(meaning, "object_poses/square_nut") == 1.0
    assert names_object(meaning, "round_nut") == 0.5
    assert names_object(meaning, "peg1") == 0.0
