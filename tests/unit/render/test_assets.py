"""Files of a recorded model are found on this machine, or named."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from kairoscope.core import UserError
from kairoscope.render import assets as module
from kairoscope.render.assets import assets_in, installed
from kairoscope.robot.episode import UnreadableEpisode


def model(*paths: str, compiler: str = "") -> str:
    meshes = "".join(f'<mesh name="m{i}" file="{path}"/>' for i, path in enumerate(paths))
    return f"<mujoco>{compiler}<asset>{meshes}</asset></mujoco>"


def files_of(xml: str) -> list[str | None]:
    return [mesh.get("file") for mesh in ElementTree.fromstring(xml).iter("mesh")]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout called mimicgen with the package mimicgen in it."""
    folder = tmp_path / "mimicgen" / "mimicgen" / "models" / "robosuite" / "assets"
    folder.mkdir(parents=True)
    (folder / "pod.stl").write_text("pod")
    return tmp_path / "mimicgen"


POD = "models/robosuite/assets/pod.stl"


@pytest.mark.parametrize("named", [".", "mimicgen", "..", "mimicgen/models/robosuite/assets"])
@pytest.mark.parametrize(
    "recorded",
    [
        f"/home/a/mimicgen/mimicgen/{POD}",
        f"/opt/lib/mimicgen/{POD}",
        f"/home/robosuite/old/mimicgen_envs/{POD}",
        f"/mimicgen/venv/lib/mimicgen/{POD}".replace("assets/", "assets/arenas/../"),
        f"C:\\lib\\mimicgen\\{POD}".replace("/", "\\"),
    ],
)
def test_any_folder_that_holds_it_will_do(checkout: Path, named: str, recorded: str) -> None:
    found = assets_in([checkout / named]).at_home(model(recorded), "here")
    assert files_of(found) == [str(checkout / "mimicgen" / POD)]


def test_installed_packages_are_found_by_their_name(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = checkout / "mimicgen"
    monkeypatch.setattr(module, "installed", {"mimicgen": home}.get)
    recorded = f"/x/mimicgen_envs/{POD}"
    assert files_of(assets_in([]).at_home(model(recorded), "here")) == [str(home / POD)]


def test_a_path_of_this_machine_stays(checkout: Path) -> None:
    path = str(checkout / "mimicgen" / POD)
    assert files_of(assets_in([]).at_home(model(path), "here")) == [path]


def test_folders_of_the_compiler_come_before_the_name(checkout: Path) -> None:
    xml = model("assets/pod.stl", compiler='<compiler meshdir="/x/mimicgen/models/robosuite"/>')
    found = assets_in([checkout]).at_home(xml, "here")
    assert files_of(found) == [str(checkout / "mimicgen" / POD)]


def test_every_face_of_a_texture_counts(checkout: Path) -> None:
    xml = f'<mujoco><asset><texture fileup="/x/mimicgen/{POD}" fileleft="/gone/y.png"/></asset></mujoco>'
    with pytest.raises(UnreadableEpisode, match=r"1 asset file is .*\(/gone/y.png\)"):
        assets_in([checkout]).at_home(xml, "here")


def test_what_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    xml = model("/x/mimicgen/a.stl", "/x/mimicgen/b.stl")
    with pytest.raises(UnreadableEpisode) as told:
        assets_in([tmp_path]).at_home(xml, "file: demo_3")
    said = str(told.value)
    assert said.startswith("file: demo_3: 2 asset files are not on this machine")
    assert "/x/mimicgen/a.stl" in said
    assert "--assets" in said
    if installed("mimicgen") is None:
        assert "not installed here: mimicgen" in said


@pytest.mark.parametrize("text", ["", "not xml", "<robot/>"])
def test_what_is_no_model_is_said(text: str) -> None:
    with pytest.raises(UnreadableEpisode, match="here: its model_file"):
        assets_in([]).at_home(text, "here")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--assets .*gone: no such folder"):
        assets_in([tmp_path / "gone"])


def test_only_known_packages_are_looked_for() -> None:
    assert installed("numpy") is None
