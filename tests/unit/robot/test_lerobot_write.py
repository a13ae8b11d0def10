"""Writing labels into LeRobot datasets: read back as given, and nothing else changed."""

from collections.abc import Callable, Mapping
from pathlib import Path

import lerobot_files as files
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lerobot_files import (
    IDS,
    LENGTHS,
    OURS,
    frames_of,
    labels_of,
    make_v2,
    make_v3,
    states,
    tree,
)

from kairoscope.events import Event, Events
from kairoscope.robot.lerobot import Written, write_lerobot
from kairoscope.robot.lerobot.labels import per_frame, to_frames

Make = Callable[..., Path]
MAKES = pytest.mark.parametrize("make", [make_v2, make_v3])


@MAKES
def test_what_is_written_is_read(tmp_path: Path, make: Make) -> None:
    source = make(tmp_path / "d")
    before = tree(source)
    written = write_lerobot(source, tmp_path / "out", OURS)
    assert written == Written(
        path=tmp_path / "out",
        written=IDS[:2],
        kept=(),
        protected=(),
        unlabelled=IDS[2:],
        problems=(),
        notes=(),
    )
    assert tree(source) == before
    found = labels_of(tmp_path / "out")
    assert found[IDS[2]] == ((), "unknown")
    for name, events in OURS.items():
        assert found[name] == (events, "kairoscope")


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.sampled_from(["grasp", "lift", "наклон"]), st.floats(0, 1.99)),
        min_size=1,
        max_size=5,
    )
)
def test_any_ascending_ends_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, found: list[tuple[str, float]]
) -> None:
    ends = sorted(end for _, end in found)
    starts = [0.0, *ends]
    events = tuple(
        Event(name, start, end) for (name, _), start, end in zip(found, starts, ends, strict=False)
    )
    for make in (make_v2, make_v3):
        folder = tmp_path_factory.mktemp("d")
        source = make(folder / "in", (20,))
        assert write_lerobot(source, folder / "out", {IDS[0]: events}).written == IDS[:1]
        assert labels_of(folder / "out")[IDS[0]] == (events, "kairoscope")


@MAKES
def test_every_frame_has_the_text_of_its_event(tmp_path: Path, make: Make) -> None:
    write_lerobot(make(tmp_path / "d"), tmp_path / "out", OURS)
    found = frames_of(tmp_path / "out")
    # 0.93 s is nearest to frame 9; a gap and the time after the last event go to the event before.
    assert found[0] == ["grasp"] * 9 + ["place"] * 11
    assert found[1] == ["grasp"] * 13 + ["place"] * 18
    assert found[2] == [""] * LENGTHS[2]


@given(
    st.integers(1, 30).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.lists(st.tuples(st.integers(0, n), st.integers(0, n)), max_size=4),
        )
    )
)
def test_every_frame_belongs_to_an_event_that_has_begun_and_to_the_first_to_end(
    case: tuple[int, list[tuple[int, int]]],
) -> None:
    num_frames, spans = case
    frames = tuple((str(i), min(s), max(s)) for i, s in enumerate(spans))
    places = per_frame(frames, num_frames)
    assert places.shape == (num_frames,)
    for frame, place in enumerate(places):
        active = [(end, i) for i, (_, start, end) in enumerate(frames) if start <= frame < end]
        if active:
            assert place == min(active)[1]
        assert (place == -1) == (not frames)


def test_frames_are_the_nearest_ones() -> None:
    edges_s = np.arange(11) / 10
    events = (Event("a", None, 0.34), Event("b", None, 0.36), Event("c", 0.5, 1.0))
    assert to_frames(events, edges_s) == (("a", 0, 3), ("b", 3, 4), ("c", 5, 10))


@pytest.mark.parametrize("rows_per_group", [None, 7])
def test_the_other_columns_stay_as_they_are(tmp_path: Path, rows_per_group: int | None) -> None:
    source = make_v3(tmp_path / "d", rows_per_group=rows_per_group)
    write_lerobot(source, tmp_path / "out", OURS)
    for path in [*source.glob("data/*/*.parquet"), *source.glob("meta/episodes/*/*.parquet")]:
        before = pq.ParquetFile(path)
        after = pq.ParquetFile(tmp_path / "out" / path.relative_to(source))
        names = before.schema_arrow.names
        assert after.schema_arrow.names[: len(names)] == names
        assert after.read(columns=names).equals(before.read(), check_metadata=False)
        for group in range(before.metadata.num_row_groups):
            one, other = (f.metadata.row_group(group) for f in (before, after))
            assert one.num_rows == other.num_rows
            assert one.column(0).compression == other.column(0).compression
        assert before.metadata.num_row_groups == after.metadata.num_row_groups


@MAKES
def test_a_copy_shares_videos_and_nothing_else(tmp_path: Path, make: Make) -> None:
    source = make(tmp_path / "d", video=True)
    (source / "README.md").write_text("about")
    (source / ".cache").mkdir()
    (source / ".cache/x").write_text("hidden")
    out = tmp_path / "out"
    write_lerobot(source, out, OURS)
    copied = tree(out)
    assert {n for n in tree(source) if not n.startswith(".")} <= set(copied)
    assert ".cache/x" not in copied
    for name in copied:
        if (source / name).is_file():
            assert (source / name).samefile(out / name) == name.endswith(".mp4")


def test_files_that_lie_behind_links_are_found(tmp_path: Path) -> None:
    real = make_v2(tmp_path / "real", video=True)
    linked = tmp_path / "d"
    linked.mkdir()
    (linked / "meta").symlink_to(real / "meta")
    (linked / "videos").symlink_to(real / "videos")
    (linked / "data/chunk-000").mkdir(parents=True)
    for episode in range(3):
        files.v2_data(linked, episode).symlink_to(files.v2_data(real, episode))
    before = tree(real)
    write_lerobot(linked, tmp_path / "out", OURS)
    assert labels_of(tmp_path / "out")[IDS[0]] == (OURS[IDS[0]], "kairoscope")
    assert tree(real) == before
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_symlink()]


@MAKES
@pytest.mark.parametrize("in_place", [False, True])
def test_a_second_run_touches_nothing(tmp_path: Path, make: Make, *, in_place: bool) -> None:
    source = make(tmp_path / "d", video=True)
    out = None if in_place else tmp_path / "out"
    first = write_lerobot(source, out, OURS, in_place=in_place)
    before, when = tree(first.path), states(first.path)
    assert write_lerobot(source, out, OURS, in_place=in_place) == first
    assert tree(first.path) == before
    assert states(first.path) == when


@MAKES
def test_in_place_is_what_a_copy_would_be(tmp_path: Path, make: Make) -> None:
    source = make(tmp_path / "d")
    write_lerobot(source, tmp_path / "out", OURS)
    write_lerobot(source, source, OURS, in_place=True)
    assert tree(source) == tree(tmp_path / "out")


@MAKES
def test_without_labels_a_copy_is_a_copy(tmp_path: Path, make: Make) -> None:
    source = make(tmp_path / "d")
    written = write_lerobot(source, tmp_path / "out", {})
    assert written.unlabelled == IDS
    copied = tree(tmp_path / "out")
    del copied["meta/kairoscope.json"]
    assert copied == tree(source)


@MAKES
@pytest.mark.parametrize("in_place", [False, True])
def test_a_killed_run_is_finished_by_the_same_command(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch, *, in_place: bool
) -> None:
    """Killed before each single file in turn, over labels that an earlier run wrote."""
    others = {IDS[0]: OURS[IDS[0]][:1], IDS[2]: (Event("lift", 0.0, 1.0),)}

    def labelled(folder: Path, boundaries: Mapping[str, Events]) -> Path:
        source = folder / "in"
        out = None if in_place else folder / "out"
        return write_lerobot(source, out, boundaries, in_place=in_place).path

    def prepared(folder: Path) -> Path:
        make(folder / "in")
        labelled(folder, others)
        return folder

    straight = tree(labelled(prepared(tmp_path / "straight"), OURS))
    replace = Path.replace
    killed = 0
    for place in range(100):
        folder = prepared(tmp_path / f"killed_{place}")
        left = place

        def replace_or_die(self: Path, target: Path) -> Path:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return replace(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", replace_or_die)
            try:
                labelled(folder, OURS)
            except KeyboardInterrupt:
                killed += 1
        assert tree(labelled(folder, OURS)) == straight
        if left >= 0:
            break
    assert killed >= 6
    assert left >= 0
