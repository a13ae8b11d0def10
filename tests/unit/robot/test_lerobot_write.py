"""Writing labels into LeRobot datasets: read back as given, nothing else changed, nothing lost."""

import json
import os
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import lerobot_files as files
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lerobot_files import CAMERA, FPS, LENGTHS, make_v2, make_v3, tree

from kairoscope.core import UserError
from kairoscope.events import Event, Events
from kairoscope.robot.lerobot import LeRobotDataset, Written, open_lerobot, write_lerobot
from kairoscope.robot.lerobot.labels import per_frame, to_frames

IDS = ("episode_000000", "episode_000001", "episode_000002")
OURS: Mapping[str, Events] = {
    IDS[0]: (Event("grasp", 0.0, 0.93), Event("place", 0.93, 1.71)),
    IDS[1]: (Event("grasp", 0.2, 1.1), Event("place", 1.3, 3.1)),
}
OTHERS: Mapping[str, Events] = {IDS[0]: (Event("reach", 0.0, 0.5), Event("grasp", 0.5, 1.6))}
Make = Callable[..., Path]
MAKES = pytest.mark.parametrize("make", [make_v2, make_v3])


def labels_of(root: Path) -> dict[str, tuple[Events, str]]:
    dataset = open_lerobot(root)
    return {n: (e.events, e.labelled_by) for n in dataset.ids for e in [dataset.episode(n)]}


def frames_of(root: Path) -> dict[int, list[str]]:
    """Text of every frame, as lerobot looks it up: row `subtask_index` of the table."""
    texts = pq.read_table(root / "meta/subtasks.parquet")["subtask"].to_pylist()
    found: dict[int, list[str]] = {}
    for path in sorted(root.glob("data/*/*.parquet")):
        table = pq.read_table(path)
        pairs = zip(table["episode_index"], table["subtask_index"], strict=True)
        for episode, number in pairs:
            assert 0 <= number.as_py() < len(texts)
            found.setdefault(episode.as_py(), []).append(texts[number.as_py()])
    return found


def states(root: Path) -> dict[str, tuple[int, int]]:
    found = {name: (root / name).stat() for name in tree(root)}
    return {name: (state.st_mtime_ns, state.st_ino) for name, state in found.items()}


# ------------------------------------------------------------------------------- round trip


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


# ---------------------------------------------------------------------- what stays as it was


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


# ---------------------------------------------------------------------------- whose labels


def label_by_hand(root: Path, episode: int, numbers: list[int], texts: list[str]) -> None:
    table = {"subtask_index": pa.array(range(len(texts))), "subtask": pa.array(texts)}
    pq.write_table(pa.table(table), root / "meta/subtasks.parquet")
    for other, length in enumerate(LENGTHS):
        found = numbers if other == episode else [-1] * length
        files.set_columns(files.v2_data(root, other), subtask_index=pa.array(found))


def test_labels_of_others_are_kept_frame_by_frame(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d")
    numbers = [-1] * 3 + [1] * 5 + [-1] * 2 + [0] * 10
    label_by_hand(source, 0, numbers, ["hold", "reach"])
    written = write_lerobot(source, tmp_path / "out", OURS)
    assert (written.protected, written.written) == (IDS[:1], IDS[1:2])
    table = pq.read_table(files.v2_data(tmp_path / "out", 0))
    assert table["subtask_index"].to_pylist() == numbers
    texts = pq.read_table(tmp_path / "out/meta/subtasks.parquet")["subtask"].to_pylist()
    assert texts == ["hold", "reach", "grasp", "place", ""]
    events, labelled_by = labels_of(tmp_path / "out")[IDS[0]]
    assert [event.name for event in events] == ["reach", "hold"]
    assert labelled_by == "unknown"
    before = states(tmp_path / "out")
    write_lerobot(source, tmp_path / "out", OURS)
    assert states(tmp_path / "out") == before


def test_labels_of_others_are_replaced_when_asked(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d")
    label_by_hand(source, 0, [0] * 20, ["hold"])
    written = write_lerobot(source, tmp_path / "out", OURS, overwrite=True)
    assert written.written == IDS[:2]
    assert labels_of(tmp_path / "out")[IDS[0]] == (OURS[IDS[0]], "kairoscope")


@MAKES
def test_our_own_labels_make_room_and_those_of_a_person_do_not(tmp_path: Path, make: Make) -> None:
    source, out = make(tmp_path / "d"), tmp_path / "out"
    write_lerobot(source, out, OURS)
    assert write_lerobot(source, out, OTHERS).written == IDS[:1]
    assert labels_of(out)[IDS[0]] == (OTHERS[IDS[0]], "kairoscope")
    assert labels_of(out)[IDS[1]] == (OURS[IDS[1]], "kairoscope")

    corrected = {IDS[1]: (Event("grasp", 0.0, 1.5),)}
    assert write_lerobot(out, None, corrected, labelled_by="human", in_place=True).written == (
        IDS[1],
    )
    assert labels_of(out)[IDS[1]] == (corrected[IDS[1]], "human")
    again = write_lerobot(source, out, OURS)
    assert (again.written, again.protected) == (IDS[:1], IDS[1:2])
    assert labels_of(out)[IDS[1]] == (corrected[IDS[1]], "human")
    write_lerobot(source, out, OURS, overwrite=True)
    assert labels_of(out)[IDS[1]] == (OURS[IDS[1]], "kairoscope")


def test_labels_changed_with_another_tool_are_no_longer_ours(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_lerobot(make_v2(tmp_path / "d"), out, OURS)
    files.set_columns(files.v2_data(out, 0), subtask_index=pa.array([1] * 4 + [0] * 16))
    rows = files.read_lines(out / "meta/episodes.jsonl")
    rows[1]["dense_subtask_end_times"] = [1.0, 2.0]
    files.write_lines(out / "meta/episodes.jsonl", rows)
    found = labels_of(out)
    assert ([e.name for e in found[IDS[0]][0]], found[IDS[0]][1]) == (["place", "grasp"], "unknown")
    assert found[IDS[1]][1] == "unknown"
    written = write_lerobot(out, None, OURS, in_place=True)
    assert written.protected == IDS[:2]


def test_labels_in_the_language_column_are_never_replaced(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d")
    row = {"role": "assistant", "content": "hold", "style": "subtask", "timestamp": 0.0}
    files.set_columns(files.v2_data(source, 0), language_persistent=pa.array([[row]] * LENGTHS[0]))
    written = write_lerobot(source, tmp_path / "out", OURS, overwrite=True)
    assert written.written == IDS[1:2]
    assert written.problems[0][0] == IDS[0]
    assert "language_persistent" in written.problems[0][1]


# ---------------------------------------------------------------------- what lerobot expects


@MAKES
def test_the_feature_is_in_info(tmp_path: Path, make: Make) -> None:
    source = make(tmp_path / "d")
    write_lerobot(source, tmp_path / "out", OURS)
    before, after = (
        json.loads((root / "meta/info.json").read_text()) for root in (source, tmp_path / "out")
    )
    assert after["features"].pop("subtask_index") == {
        "dtype": "int64",
        "shape": [1],
        "names": None,
    }
    assert after == before


def test_every_row_of_v2_has_every_key(tmp_path: Path) -> None:
    write_lerobot(make_v2(tmp_path / "d"), tmp_path / "out", OURS)
    rows = files.read_lines(tmp_path / "out/meta/episodes.jsonl")
    assert len({tuple(row) for row in rows}) == 1
    assert rows[2]["dense_subtask_names"] is None
    assert rows[0]["dense_subtask_start_frames"] == [0, 9]
    assert rows[0]["dense_subtask_end_frames"] == [9, 17]
    assert rows[1]["dense_subtask_end_frames"] == [11, 30]  # the last frame is 30


def test_columns_of_v3_have_one_type_in_every_file(tmp_path: Path) -> None:
    write_lerobot(make_v3(tmp_path / "d"), tmp_path / "out", OURS)
    paths = sorted((tmp_path / "out").glob("meta/episodes/*/*.parquet"))
    first, second = (pq.read_schema(path) for path in paths)
    assert first.equals(second)
    assert first.field("dense_subtask_names").type == pa.list_(pa.string())
    assert first.field("dense_subtask_end_times").type == pa.list_(pa.float64())
    assert first.field("dense_subtask_end_frames").type == pa.list_(pa.int64())


def assert_same_stats(found: dict[str, list[float]], wanted: dict[str, list[float]]) -> None:
    assert list(found) == list(wanted)
    for key, values in wanted.items():
        assert found[key] == pytest.approx(values)


@MAKES
def test_statistics_are_those_of_the_column(tmp_path: Path, make: Make) -> None:
    out = tmp_path / "out"
    write_lerobot(make(tmp_path / "d"), out, OURS)
    texts = pq.read_table(out / "meta/subtasks.parquet")["subtask"].to_pylist()
    columns = {i: [texts.index(text) for text in found] for i, found in frames_of(out).items()}
    if make is make_v2:
        rows = files.read_lines(out / "meta/episodes_stats.jsonl")
        for row in rows:
            wanted = files.stats_of(columns[row["episode_index"]])
            assert_same_stats(row["stats"]["subtask_index"], wanted)
        return
    stats = json.loads((out / "meta/stats.json").read_text())
    whole = files.stats_of([number for found in columns.values() for number in found])
    assert_same_stats(stats["subtask_index"], whole)
    table = pa.concat_tables(map(pq.read_table, sorted(out.glob("meta/episodes/*/*.parquet"))))
    for row in table.to_pylist():
        wanted = files.stats_of(columns[row["episode_index"]])
        found = {key: row[f"stats/subtask_index/{key}"] for key in wanted}
        assert_same_stats(found, wanted)


@MAKES
def test_shares_of_time_sum_to_1_in_the_order_of_the_task(tmp_path: Path, make: Make) -> None:
    partly = {**OURS, IDS[2]: (Event("reach", 0.0, 0.2), Event("grasp", 0.2, 1.2))}
    write_lerobot(make(tmp_path / "d"), tmp_path / "out", partly, prefix="sparse")
    path = tmp_path / "out/meta/temporal_proportions_sparse.json"
    shares = json.loads(path.read_text())
    assert list(shares) == ["reach", "grasp", "place"]
    assert sum(shares.values()) == pytest.approx(1)
    place = np.mean([0.78 / 1.71, 1.8 / 2.7])
    grasp = np.mean([0.93 / 1.71, 0.9 / 2.7, 1.0 / 1.2])
    assert shares["place"] / shares["grasp"] == pytest.approx(place / grasp)


def test_the_older_columns_are_kept_equal_where_they_are(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d")
    rows = [
        row | {"subtask_names": None} for row in files.read_lines(source / "meta/episodes.jsonl")
    ]
    files.write_lines(source / "meta/episodes.jsonl", rows)
    write_lerobot(source, tmp_path / "out", OURS, prefix="sparse")
    row = files.read_lines(tmp_path / "out/meta/episodes.jsonl")[0]
    assert row["subtask_names"] == row["sparse_subtask_names"] == ["grasp", "place"]


def test_quantiles_are_written_where_the_file_has_them(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d")
    rows = files.read_lines(source / "meta/episodes_stats.jsonl")
    for row in rows:
        row["stats"]["task_index"] |= {"q01": [0.0], "q50": [0.0]}
    files.write_lines(source / "meta/episodes_stats.jsonl", rows)
    write_lerobot(source, tmp_path / "out", OURS)
    row = files.read_lines(tmp_path / "out/meta/episodes_stats.jsonl")[0]
    assert row["stats"]["subtask_index"]["q50"] == [1.0]  # 9 frames of 0, 11 of 1
    assert list(row["stats"]["subtask_index"]) == [*files.stats_of([0]), "q01", "q50"]


# --------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ((Event(" ", 0.0, 1.0),), "has no name"),
        ((Event("a", 0.0, float("nan")),), "runs from 0.0 to nan s"),
        ((Event("a", -0.1, 1.0),), "events start at 0 or later"),
        ((Event("a", 1.5, 1.0),), "do not end before they start"),
        ((Event("a", None, 1.0), Event("b", 0.0, 0.9)), "end in order"),
        ((Event("a", None, 2.2),), "ends at 2.2 s, the episode at 2.00 s"),
    ],
)
def test_events_that_cannot_be_labels_are_problems(
    tmp_path: Path, events: Events, reason: str
) -> None:
    source = make_v2(tmp_path / "d")
    offered = {**OURS, IDS[0]: events, "demo_0": events}
    written = write_lerobot(source, tmp_path / "out", offered)
    assert written.written == IDS[1:2]
    problems = dict(written.problems)
    assert set(problems) == {IDS[0], "demo_0"}
    assert reason in problems[IDS[0]]
    assert problems["demo_0"] == "the dataset has no such episode"
    assert labels_of(tmp_path / "out")[IDS[0]][0] == ()


def test_half_a_step_past_the_end_is_the_end(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d")
    write_lerobot(source, tmp_path / "out", {IDS[0]: (Event("a", 0.0, 2.04),)})
    (event,), _ = labels_of(tmp_path / "out")[IDS[0]]
    assert event.end_s == pytest.approx(2.0)


@MAKES
def test_what_cannot_be_read_is_a_problem_and_is_copied(tmp_path: Path, make: Make) -> None:
    source = make(tmp_path / "d", **({} if make is make_v2 else {"per_file": 1}))
    first = min(source.glob("data/*/*.parquet"))
    first.write_bytes(b"torn")
    written = write_lerobot(source, tmp_path / "out", OURS)
    assert written.written == IDS[1:2]
    assert "cannot be read" in dict(written.problems)[IDS[0]]
    assert (tmp_path / "out" / first.relative_to(source)).read_bytes() == b"torn"


def test_the_part_that_is_there_is_labelled(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d")
    files.v2_data(source, 0).unlink()
    written = write_lerobot(source, tmp_path / "out", OURS)
    assert (written.written, written.unlabelled) == (IDS[1:2], IDS[2:])
    assert "is missing" in dict(written.problems)[IDS[0]]


def test_episodes_that_are_gone_keep_their_marks(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_lerobot(make_v2(tmp_path / "d"), out, OURS)
    data = files.v2_data(out, 0).read_bytes()
    files.v2_data(out, 0).unlink()
    write_lerobot(out, None, {}, in_place=True)
    files.v2_data(out, 0).write_bytes(data)
    assert labels_of(out)[IDS[0]] == (OURS[IDS[0]], "kairoscope")


def test_where_a_copy_may_not_go(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d")
    before = tree(source)
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("")
    for out, reason in [
        (source, "is the dataset itself"),
        (source / "data", "must not lie in"),
        (tmp_path, "must not lie in"),
        (full, "is not empty"),
        (tmp_path / "file", "is a file"),
        (None, "give either a folder for the copy or in_place"),
    ]:
        with pytest.raises(UserError, match=reason):
            write_lerobot(source, out, OURS)
    with pytest.raises(UserError, match="give either"):
        write_lerobot(source, tmp_path / "out", OURS, in_place=True)
    with pytest.raises(UserError, match="is no LeRobot dataset"):
        write_lerobot(full, tmp_path / "out", OURS)
    assert tree(source) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d", "file", "full"]


def test_a_version_that_is_not_known_is_not_written(tmp_path: Path) -> None:
    source = make_v3(tmp_path / "d")
    files.write_info(source, codebase_version="v3.7")
    with pytest.raises(UserError, match=r"codebase_version is 'v3.7'; written are v2.0"):
        write_lerobot(source, tmp_path / "out", OURS)


def test_a_full_disk_leaves_whole_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_v2(tmp_path / "d", video=True)
    before = tree(source)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="no space left"):
        write_lerobot(source, None, OURS, in_place=True)
    assert tree(source) == before


def test_ids_are_counted_once(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d", (20, 20, 20, 20, 20))
    files.v2_data(source, 4).unlink()
    write_lerobot(source, None, {IDS[1]: OURS[IDS[0]]}, labelled_by="human", in_place=True)
    offered = {IDS[0]: OURS[IDS[0]], IDS[1]: OTHERS[IDS[0]]}
    written = write_lerobot(source, None, offered, in_place=True)
    dataset = open_lerobot(source)
    assert isinstance(dataset, LeRobotDataset)
    counted = [
        *(written.written + written.kept + written.protected + written.unlabelled),
        *(name for name, _ in written.problems),
    ]
    assert sorted(counted) == list(dataset.ids)
    assert all(a < b for a, b in pairwise(sorted(counted)))
    assert CAMERA not in dataset.info.features
    assert dataset.fps == FPS
