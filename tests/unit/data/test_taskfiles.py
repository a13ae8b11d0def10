"""Task files: the shipped ones are the recipe's, names find them, bad files say what is wrong."""

import json
from pathlib import Path

import pytest

from kairoscope.core import UserError
from kairoscope.data.taskfiles import TaskFile, load_task, shipped_tasks

BENCHMARK = (
    "isaac_lab_cube_stacking",
    "isaac_lab_nut_pouring",
    "bridge_cube_stacking",
    "agibot_358_toaster",
    "agibot_366_chips",
    "agibot_378_fork",
    "agibot_412_cup",
)
TRAINING = {"coffee": 1, "nut_assembly": 3, "square": 1, "stack": 1, "threading": 1}
TRAINING |= {"three_piece_assembly": 3}


def test_the_thirteen_tasks_of_the_recipe_are_shipped() -> None:
    wanted = {*BENCHMARK, *(f"mimicgen_{name}" for name in TRAINING)}
    assert wanted <= set(shipped_tasks())
    for name, count in TRAINING.items():
        assert len(load_task(f"mimicgen_{name}").events) == count


def test_every_shipped_task_is_named_like_its_file() -> None:
    for name, file in shipped_tasks().items():
        task = load_task(name)
        assert task.name == name
        assert task == load_task(str(file))
        assert task.description


def test_benchmark_events_are_those_of_the_ground_truth(shared_data: Path) -> None:
    truth = json.loads((shared_data.parent / "facts/benchmark_ground_truth.json").read_text())
    assert {name: list(load_task(name).events) for name in truth} == {
        name: table["events"] for name, table in truth.items()
    }
    assert set(truth) == set(BENCHMARK)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("agibot-358-toaster", "agibot_358_toaster"),
        ("AgiBot 358", "agibot_358_toaster"),
        ("toaster", "agibot_358_toaster"),
        ("378", "agibot_378_fork"),
        ("bridge", "bridge_cube_stacking"),
        ("isaac-lab-nut", "isaac_lab_nut_pouring"),
        ("coffee", "mimicgen_coffee"),
        ("mimicgen_stack", "mimicgen_stack"),
        ("three-piece", "mimicgen_three_piece_assembly"),
    ],
)
def test_parts_of_a_name_are_enough(name: str, found: str) -> None:
    assert load_task(name).name == found


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cube-stacking", "fits several: bridge_cube_stacking, isaac_lab_cube_stacking"),
        ("mimicgen_cofee", r"not shipped\. Did you mean mimicgen_coffee"),
        ("flying", r"'flying' is not shipped\. Allowed: the path of a \.toml file, or one of agi"),
        ("", r"'' is not shipped"),
        ("absent.toml", r"absent\.toml: no such task file"),
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_task(name)


def test_an_own_task(tmp_path: Path) -> None:
    file = tmp_path / "Müll.TOML"
    file.write_text('name = "waste"\nevents = ["grasping  the bag", "Öffnen"]\n', encoding="utf-8")
    assert load_task(str(file)) == TaskFile(name="waste", events=("grasping the bag", "Öffnen"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name = ", "not TOML"),
        ('name = "x"', "'events' is missing; a task file needs name and events"),
        ('events = ["a"]', "'name' is missing"),
        ('name = "x"\nevents = []', "events is empty"),
        ('name = "x"\nevents = "a"', 'events is "a"; allowed: a list of texts'),
        ('name = "x"\nevents = ["a", 3]', "allowed: a list of texts"),
        ('name = "x"\nevents = ["go", "the Go"]', "event 2: name 'the Go' is also event 1"),
        ('name = "x"\nevents = ["a", " "]', "event 2: name is ' '; allowed: one line"),
        ('name = ""\nevents = ["a"]', 'name is ""; allowed: text'),
        ('name = "x"\nevents = ["a"]\nfps = 8', "unknown key 'fps' in a task file; allowed: name"),
        ('name = "x"\nevents = ["a"]\ndescription = 3', "description is 3; allowed: text"),
        ("name = 1979-05-27\nevents = ['a']", "name is .*1979"),
    ],
)
def test_bad_task_files(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "task.toml").write_text(content)
    with pytest.raises(UserError, match=rf"task\.toml: .*{message}"):
        load_task(str(tmp_path / "task.toml"))


def test_a_task_file_of_other_bytes(tmp_path: Path) -> None:
    (tmp_path / "task.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(UserError, match=r"task\.toml: not TOML"):
        load_task(str(tmp_path / "task.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        load_task(str(tmp_path / "folder.toml"))
