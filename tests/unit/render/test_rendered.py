"""Pictures that nobody recorded: a dataset with one more camera, and `annotate` on it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded_worlds import stacking, write_recordings

from kairoscope.annotate.evidence import ROWS
from kairoscope.annotate.showing import MOST_DRAWN, make_clips
from kairoscope.core import UserError
from kairoscope.render.rendered import rendered
from kairoscope.robot.episode import UnreadableEpisode
from kairoscope.robot.opening import open_dataset
from kairoscope.runs import Run


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_recordings(tmp_path / "a.hdf5", {"demo_0": stacking()[0]})


def test_every_state_has_its_picture(drawing: Any, assets: Path, source: Path) -> None:
    dataset = rendered(source, size_px=96, quality="fast", assets=[assets])
    plain = open_dataset(source)
    episode = dataset.episode("demo_0")
    assert episode.cameras_in_file == ("agentview",)
    assert (dataset.fps, dataset.format, list(dataset.ids)) == (plain.fps, plain.format, ["demo_0"])
    pictures = dataset.pictures("demo_0", "agentview")
    assert pictures.shape == (len(episode.times_s), 96, 96, 3)
    # The hand rests for six states, and then moves.
    assert (pictures[:6] == pictures[0]).all()
    assert (pictures[6] != pictures[0]).any()
    assert len(np.unique(pictures[0].reshape(-1, 3), axis=0)) > 20


def test_a_page_has_some_of_them_drawn_and_not_all(
    drawing: Any, assets: Path, tmp_path: Path
) -> None:
    many = {f"demo_{number}": stacking()[0] for number in range(MOST_DRAWN + 2)}
    source = write_recordings(tmp_path / "many.hdf5", many)
    dataset = rendered(source, size_px=48, quality="fast", assets=[assets])
    run = Run.open(tmp_path / "run", kind="annotation", config={})
    for name in many:
        times_s = dataset.episode(name).times_s.tolist()
        row = {"clip": name, "digest": name, "times_s": times_s, "cameras_in_file": ["agentview"]}
        run.append(ROWS, row)
        run.append("clips", {"clip": name, "events": [], "video": None, "num_frames": 8})
    make_clips(dataset, run, "agentview")
    assert len(list((run.path / "clips").glob("*.mp4"))) == MOST_DRAWN


def test_what_cannot_be_drawn_is_said(drawing: Any, assets: Path, source: Path) -> None:
    dataset = rendered(source, camera="wrist", size_px=96, assets=[assets])
    with pytest.raises(UnreadableEpisode, match="no camera 'wrist'; it has agentview, top"):
        dataset.pictures("demo_0", "wrist")
    with pytest.raises(UnreadableEpisode):
        dataset.pictures("demo_0", "other")


def test_only_what_robosuite_recorded_can_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        rendered(tmp_path / "gone.hdf5")
