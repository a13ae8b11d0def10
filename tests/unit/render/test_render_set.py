"""The whole of `kairoscope render` on small recordings: what comes out, what is left out, resuming."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from recorded_worlds import model_xml, stacking, step_signal, write_recordings

from kairoscope.core import UserError
from kairoscope.data.conversations import read_conversations
from kairoscope.data.labels import load_folder
from kairoscope.recipes.subtask_times import TASK
from kairoscope.render.produce import Look
from kairoscope.render.render_set import Rendered, render_set
from kairoscope.video.clip import frame_times, scan
from kairoscope.video.decode import decode_frames

LOOK = Look(camera="agentview", size_px=96, fps=30.0, quality="fast")
Render = Callable[..., Rendered]
PAUSES = [(6, 5, 4), (3, 8, 2), (9, 2, 6), (4, 4, 4), (2, 3, 9)]


def demos(*numbers: int) -> dict[str, np.ndarray]:
    return {f"demo_{n}": stacking(PAUSES[n])[0] for n in numbers}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two variants of a task, of the same sources 0 to 4."""
    folder = tmp_path_factory.mktemp("files")
    sources = {f"demo_{n}": [n] * 4 for n in range(5)}
    d0 = write_recordings(folder / "d0.hdf5", demos(0, 1, 2), sources=sources)
    turned = {f"demo_{n}": [(n + 2) % 5] for n in range(3)}
    d1 = write_recordings(folder / "d1.hdf5", demos(*range(3)), sources=turned)
    return [d0, d1]


@pytest.fixture(scope="module")
def render(drawing: Any, assets: Path) -> Render:
    """`render_set` with small pictures."""

    def call(files: list[Path], out: Path, **options: Any) -> Rendered:
        wanted: dict[str, Any] = {
            "look": LOOK,
            "dialogue": TASK,
            "assets": [assets],
            "holdout": 0.3,
        } | options
        return render_set(files, out, **wanted)

    return call


@pytest.fixture(scope="module")
def straight(render: Render, files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set in one go."""
    out = tmp_path_factory.mktemp("straight")
    render(files, out)
    return out


def content(out: Path) -> dict[str, bytes]:
    """Every file but those in which `datasets` writes when and where."""
    return {
        str(f.relative_to(out)): f.read_bytes()
        for f in out.rglob("*")
        if f.is_file() and f.name != ".lock" and "conversations_" not in str(f.parent)
    }


def test_labels_speak_of_clips_that_show_them(straight: Path) -> None:
    samples = load_folder(straight)
    assert [s.id for s in samples][:2] == [f"clips/d0_demo{n}_agentview.mp4" for n in range(2)]
    for sample, pauses in zip(samples, PAUSES[:3] * 2, strict=True):
        states, ends = stacking(pauses)
        assert sample.gold is not None
        assert [event.end_s for event in sample.gold] == pytest.approx([end / 20 for end in ends])
        assert [event.start_s for event in sample.gold][1:] == [e.end_s for e in sample.gold[:-1]]
        times_s = frame_times(sample.video)
        np.testing.assert_allclose(times_s, np.arange(len(times_s)) / 30, atol=1e-6)
        assert times_s[-1] == pytest.approx((len(states) - 1) / 20, abs=1 / 30)
        assert sample.duration_s == pytest.approx(len(times_s) / 30, abs=1e-5)


def red_height(picture: np.ndarray) -> float:
    """The mean row of what is red, from the top."""
    red = picture.astype(int)
    rows = np.nonzero((red[..., 0] > 90) & (red[..., 1] < 60) & (red[..., 2] < 60))[0]
    return float(rows.mean())


def test_the_red_cube_moves_up_when_it_is_lifted_and_not_before(straight: Path) -> None:
    [sample, *_] = load_folder(straight)
    _, ends = stacking(PAUSES[0])
    lifted_s = (ends[0] + PAUSES[0][1]) / 20  # it rests in the hand until then
    clip = scan(sample.video)
    heights = [
        red_height(frame.to_ndarray(format="rgb24"))
        for _, frame in decode_frames(clip, clip.packets.shown)
    ]
    moved = np.abs(np.array(heights) - heights[0]) > 1.0
    assert clip.info.width == clip.info.height == 96
    first_s = np.flatnonzero(moved)[0] / 30
    assert lifted_s - 0.05 <= first_s <= lifted_s + 0.1


def test_no_source_is_on_both_sides(straight: Path) -> None:
    train, test = (load_folder(straight / side) for side in ("train", "test"))
    assert len(train) + len(test) == 6
    assert test
    groups = [{sample.group for sample in side} for side in (train, test)]
    assert not groups[0] & groups[1]
    # D0's demonstration 2 and D1's demonstration 0 are both made of source 2.
    by_clip = {sample.video.stem: sample.group for sample in (*train, *test)}
    assert by_clip["d0_demo2_agentview"] == by_clip["d1_demo0_agentview"] == "stack_three source 2"
    assert all(sample.video.is_file() for sample in (*train, *test))


def test_conversations_say_the_same_of_stamped_clips(straight: Path) -> None:
    for side in ("train", "test"):
        told = read_conversations(straight / f"conversations_{side}")
        labelled = load_folder(straight / side)
        assert [s.group for s in told] == [s.group for s in labelled]
        for one, other in zip(told, labelled, strict=True):
            assert one.gold is not None
            assert other.gold is not None
            assert one.video.resolve().parent == (straight / "clips_ts").resolve()
            ends = zip(one.gold, other.gold, strict=True)
            assert all(a.end_s == pytest.approx(b.end_s, abs=0.006) for a, b in ends)
            assert frame_times(one.video) == frame_times(other.video)
            assert one.video.read_bytes() != other.video.read_bytes()


def test_the_card_counts_what_is_there(straight: Path) -> None:
    card = (straight / "card.md").read_text()
    assert "Clips: 6 of 6 demonstrations, 6 of them labelled, 0 rejected" in card
    assert "| d0.hdf5 | StackThree_D1 | 3 | 20 |" in card
    assert "the simulator's predicates: 6 clips" in card
    assert (straight / "sample_sheet.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((straight / "problems.json").read_text()) == []


def test_two_workers_write_the_same_bytes_and_a_second_run_nothing(
    render: Render, files: list[Path], straight: Path, tmp_path: Path
) -> None:
    seen: list[tuple[str, int, int]] = []
    render(files, tmp_path, workers=2, on_progress=lambda *told: seen.append(told))
    assert content(tmp_path) == content(straight)
    assert [done for what, done, _ in seen if what == "rendering"] == list(range(1, 7))
    before = {f: f.stat().st_mtime_ns for f in tmp_path.rglob("*.mp4")}
    before |= {f: f.stat().st_mtime_ns for f in tmp_path.rglob("*.arrow")}
    before |= {f: f.stat().st_mtime_ns for f in tmp_path.rglob("labels.jsonl")}
    render([files[0].parent], tmp_path)  # a folder means the files in it
    assert len(before) == 12 + 2 + 3
    assert {f: f.stat().st_mtime_ns for f in before} == before
    assert content(tmp_path) == content(straight)


def test_a_killed_run_is_finished_by_the_same_call(
    render: Render, files: list[Path], assets: Path, straight: Path, tmp_path: Path
) -> None:
    code = (
        "from pathlib import Path; from kairoscope.render.produce import Look; "
        "from kairoscope.render.render_set import render_set; "
        f"render_set([Path(f) for f in {[str(f) for f in files]}], Path({str(tmp_path)!r}), "
        f"look=Look(camera='agentview', size_px=96, fps=30.0, quality='fast'), holdout=0.3, "
        f"assets=[Path({str(assets)!r})])"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob(".rows/*.json"))) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "labels.jsonl").exists()
    (tmp_path / "clips" / ".x.mp4.7.part").write_bytes(b"torn")
    finished = {f: f.stat().st_mtime_ns for f in tmp_path.glob("clips/d0_demo0*.mp4")}
    render(files, tmp_path)
    assert {f: f.stat().st_mtime_ns for f in finished} == finished
    assert content(tmp_path) == content(straight)


def test_other_labels_do_not_draw_again_and_other_states_do(render: Render, tmp_path: Path) -> None:
    source = write_recordings(tmp_path / "a.hdf5", demos(0, 1))
    out = tmp_path / "out"
    render([source], out)
    clips = {f.name: f.stat().st_mtime_ns for f in out.glob("clips/*.mp4")}
    states, ends = stacking(PAUSES[0])
    with h5py.File(source, "r+") as file:
        names = ("grasp_1", "stack_1", "grasp_2")
        for name, end in zip(names, ends, strict=True):
            signal_T = step_signal(len(states), end + 1)
            file[f"data/demo_0/datagen_info/subtask_term_signals/{name}"] = signal_T
    [first, _] = render([source], out).found.samples
    assert first.gold is not None
    assert first.gold[0].end_s == (ends[0] + 1) / 20
    assert {f.name: f.stat().st_mtime_ns for f in out.glob("clips/*.mp4")} == clips
    assert "0 of 3 boundaries agree to the frame, 3 to one frame" in (out / "card.md").read_text()
    with h5py.File(source, "r+") as file:
        file["data/demo_1/states"][:, 1] += 0.01
    render([source], out)
    again = {f.name: f.stat().st_mtime_ns for f in out.glob("clips/*.mp4")}
    assert again["a_demo0_agentview.mp4"] == clips["a_demo0_agentview.mp4"]
    assert again["a_demo1_agentview.mp4"] != clips["a_demo1_agentview.mp4"]


def broken(path: Path) -> Path:
    """A file with a good demonstration and one of each kind of trouble."""
    states, ends = stacking()
    bad = states.copy()
    bad[5, 3] = np.nan
    named = {f"demo_{i}": states for i in range(10)}
    named |= {"demo_3": bad, "demo_4": states[:, :-1], "demo_5": states[: ends[0]]}
    write_recordings(path, named)
    with h5py.File(path, "r+") as file:
        del file["data/demo_1"].attrs["model_file"]
        del file["data/demo_2/states"]
        file["data/demo_6"].attrs["model_file"] = model_xml(asset="/x/robosuite/gone.obj")
        file["data/demo_7"].attrs["model_file"] = model_xml().replace("agentview", "else")
        del file["data/demo_8/actions"]
        file["data/demo_8/actions"] = np.zeros((3, 7))
        file["data/demo_9"].attrs["model_file"] = model_xml().replace('type="free"', 'type="odd"')
    return path


def test_bad_demonstrations_are_named_and_the_rest_goes_on(
    render: Render, files: list[Path], tmp_path: Path
) -> None:
    torn = tmp_path / "torn.hdf5"
    torn.write_bytes(files[0].read_bytes()[:3000])
    (tmp_path / "text.hdf5").write_text("no")
    odd = [tmp_path / "gone.hdf5", torn, tmp_path / "text.hdf5"]
    done = render([broken(tmp_path / "bad.hdf5"), *odd], tmp_path / "out", workers=2)
    assert [row["clip"] for row in done.found.rows] == ["bad_demo0_agentview"]
    reasons = dict(done.problems)
    for number, said in enumerate(
        [
            "has no model_file",
            "has no states",
            "states: frame 5 is not finite (1 of ",
            "has 49 columns, its model needs 50",
            "never happens: ",
            "gone.obj",
            "has no camera 'agentview'; it has else, top",
            "there are 3 actions",
            "does not take its model_file",
        ],
        1,
    ):
        assert said in reasons[f"bad_demo{number}_agentview"], number
        assert f"demo_{number}" in reasons[f"bad_demo{number}_agentview"]
    assert "no such file" in reasons["gone.hdf5"]
    assert "truncated" in reasons["torn.hdf5"]
    assert "not an HDF5 file" in reasons["text.hdf5"]
    listed = json.loads((tmp_path / "out" / "problems.json").read_text())
    assert [row["clip"] for row in listed] == [name for name, _ in done.problems]
    assert len(listed) == 12
    assert (
        "Clips: 1 of 10 demonstrations, 1 of them labelled, 12 rejected"
        in (tmp_path / "out" / "card.md").read_text()
    )


def test_a_demonstration_that_becomes_bad_leaves_no_clip(render: Render, tmp_path: Path) -> None:
    source = write_recordings(tmp_path / "a.hdf5", demos(0, 1))
    render([source], tmp_path / "out")
    with h5py.File(source, "r+") as file:
        del file["data/demo_1/states"]
    render([source], tmp_path / "out")
    assert [s.video.stem for s in load_folder(tmp_path / "out")] == ["a_demo0_agentview"]
    for folder in ("clips", "clips_ts"):
        assert len(list((tmp_path / "out" / folder).glob("*.mp4"))) == 1


def test_clips_without_known_events_are_drawn_and_not_labelled(
    render: Render, tmp_path: Path
) -> None:
    source = write_recordings(tmp_path / "lift.hdf5", demos(0), env_name="Lift")
    done = render([source], tmp_path / "out")
    assert (len(done.found.rows), done.found.samples) == (1, ())
    assert (tmp_path / "out/clips/lift_demo0_agentview.mp4").is_file()
    assert "say which with --task" in (tmp_path / "out" / "card.md").read_text()


def test_sources_that_are_mixed_throughout_stay_on_one_side(render: Render, tmp_path: Path) -> None:
    mixed = {"demo_0": [0, 1], "demo_1": [1, 2], "demo_2": [2, 3]}
    source = write_recordings(tmp_path / "a.hdf5", demos(0, 1, 2), sources=mixed)
    done = render([source], tmp_path / "out")
    assert (len(done.found.train), len(done.found.test)) == (3, 0)
    assert (
        "Nothing of mimicgen_stackthree is in the test"
        in (tmp_path / "out" / "card.md").read_text()
    )


def test_clips_of_sources_of_both_sides_are_on_neither(render: Render, tmp_path: Path) -> None:
    made_of = {"demo_0": [0, 0], "demo_1": [1, 1], "demo_2": [0, 1], "demo_3": [1, 2]}
    made_of |= {"demo_4": [2, 2], "demo_5": [0, 2]}
    states = stacking()[0]
    source = write_recordings(tmp_path / "a.hdf5", dict.fromkeys(made_of, states), sources=made_of)
    with h5py.File(source, "r+") as file:  # no two clips are alike
        for number, name in enumerate(made_of):
            file[f"data/{name}/states"][:, 1] += 0.001 * number
    done = render([source], tmp_path / "out", stamps=False).found
    [test] = done.test
    held = made_of[test.video.stem.split("_")[1].replace("demo", "demo_")][0]
    names = {
        f"a_{name.replace('_', '')}_agentview" for name, of in made_of.items() if held not in of
    }
    assert {sample.video.stem for sample in done.train} == names
    assert (len(done.samples), len(names), done.num_aside) == (6, 3, 2)
    assert test.group not in {sample.group for sample in done.train}
    assert len({sample.group for sample in done.samples}) == 1
    card = (tmp_path / "out" / "card.md").read_text()
    assert "2 labelled clips are on neither side" in card


def test_without_stamps_there_are_clips_and_labels_alone(render: Render, tmp_path: Path) -> None:
    source = write_recordings(tmp_path / "a.hdf5", demos(0))
    render([source], tmp_path / "out", stamps=False, per_file=1)
    assert not list((tmp_path / "out").glob("conversations_*"))
    assert not list((tmp_path / "out").glob("clips_ts/*"))
    render([source], tmp_path / "out")
    assert (tmp_path / "out/clips_ts/a_demo0_agentview.mp4").is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"look": Look(camera="agentview", size_px=97, fps=30.0)}, "size 97: an even number"),
        ({"look": Look(camera="agentview", size_px=96, fps=0.0)}, "fps 0: from 1"),
        ({"holdout": 1.0}, "holdout 1: a share"),
        ({"workers": 0}, "workers 0"),
        ({"files": [Path(__file__).parent]}, "no HDF5 file in it"),
        ({"files": []}, "no files to render"),
        ({"assets": [Path("gone")]}, "gone: no such folder"),
        ({"look": Look(camera="top", size_px=96, fps=30.0)}, "made with camera='agentview'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    render: Render, files: list[Path], straight: Path, options: Any, said: str
) -> None:
    before = content(straight)
    with pytest.raises(UserError, match=said):
        render(**({"files": files, "out": straight} | options))
    assert content(straight) == before


def test_a_folder_of_something_else_is_left_alone(
    render: Render, files: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds no rendered clips \(there is mine.txt\)"):
        render(files, tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["mine.txt"]


def test_two_files_of_one_name_are_told_apart_by_their_folders(
    render: Render, tmp_path: Path
) -> None:
    for folder in ("d0", "d1"):
        (tmp_path / folder).mkdir()
        write_recordings(tmp_path / folder / "demo.hdf5", demos(0))
    sources = [tmp_path / folder / "demo.hdf5" for folder in ("d0", "d1")]
    done = render(sources, tmp_path / "out", stamps=False)
    names = [row["clip"] for row in done.found.rows]
    assert names == ["d0_demo_demo0_agentview", "d1_demo_demo0_agentview"]
    with pytest.raises(UserError, match="two files are called"):
        render([sources[0], sources[0]], tmp_path / "out")
