"""Laws of run directories: nothing finished is lost, nothing of another run is touched."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from kairoscope import storage
from kairoscope.core import FramePolicy, Record, Sampling, UserError
from kairoscope.json_lines import read_lines_ordered
from kairoscope.records import record_from_json, record_to_json
from kairoscope.runs import Run
from kairoscope.storage import write_text_atomic

CONFIG = {"model": "builtin", "sampling": Sampling(), "frames": FramePolicy(), "seed": 1}


def a_record(sample_id: str = "a", trial: int = 0) -> Record:
    return Record(
        sample_id=sample_id,
        video="clips/ä.mp4",
        group="g",
        scenario="stack",
        trial=trial,
        text="Event 1: <0.1> <2.0>\n\u2028 </script>",
        value=[{"name": "x", "start_s": None, "end_s": 2.0}],
        unparsed=None,
        gold=[{"name": "x", "start_s": 0.0, "end_s": 2.1}],
        query=["x"],
        scores={"mae_s": 0.1},
        duration_s=3.0,
        frame_times_s=(0.0, 0.5),
        posteriors=({"slot": "e", "choices": ["0", "1"], "probabilities": [0.25, 0.75]},),
        seconds=0.5,
    )


def test_a_run_is_reopened_with_what_it_held(tmp_path: Path) -> None:
    with Run.open(tmp_path / "run", kind="evaluation", config=CONFIG) as run:
        run.append("records", {"sample_id": "a", "trial": 0, "x": 1})
        run.write_json("metrics.json", {"b": 1, "a": [1.5]})
    with Run.open(tmp_path / "run", kind="evaluation", config=CONFIG) as run:
        assert run.records("records") == [{"sample_id": "a", "trial": 0, "x": 1}]
        assert run.done_keys("records") == {("a", 0)}
        assert run.read_json("metrics.json") == {"b": 1, "a": [1.5]}
        assert run.read_json("absent.json") is None
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["versions"]["numpy"] != "not installed"
    assert environment["resumed"] == []


def test_config_does_not_depend_on_the_order_of_its_keys(tmp_path: Path) -> None:
    Run.open(tmp_path, kind="evaluation", config=CONFIG).close()
    turned = dict(reversed(list(CONFIG.items())))
    with Run.open(tmp_path, kind="evaluation", config=turned) as run:
        assert run.config == Run.read(tmp_path).config


def test_changed_settings_are_named_with_both_values(tmp_path: Path) -> None:
    Run.open(tmp_path, kind="evaluation", config=CONFIG).close()
    changed = {**CONFIG, "sampling": Sampling(trials=10), "seed": 2}
    with pytest.raises(UserError, match=r"(?s)sampling\.trials: 1 there, 10 now.*seed: 1 there"):
        Run.open(tmp_path, kind="evaluation", config=changed)
    with pytest.raises(UserError, match="kind 'evaluation', not 'sft'"):
        Run.open(tmp_path, kind="sft", config=CONFIG)
    with Run.open(tmp_path, kind="evaluation", config=CONFIG) as run:
        assert run.records("records") == []


def test_fresh_forgets_the_run_that_was_there(tmp_path: Path) -> None:
    with Run.open(tmp_path, kind="sft", config={}) as run:
        run.append("steps", {"step": 1})
        (tmp_path / "checkpoint").mkdir()
        (tmp_path / "checkpoint" / "weights").write_text("x")
    with Run.open(tmp_path, kind="evaluation", config=CONFIG, fresh=True) as run:
        assert run.records("steps") == []
        assert not (tmp_path / "checkpoint").exists()


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(
    ("name", "text"), [("thesis.txt", "x"), ("config.json", '{"model_type": "qwen2_5_vl"}')]
)
def test_a_folder_that_is_no_run_is_never_touched(
    tmp_path: Path, name: str, text: str, *, fresh: bool
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match="--out"):
        Run.open(tmp_path, kind="evaluation", config=CONFIG, fresh=fresh)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == text


def test_a_file_and_an_absent_folder_are_no_runs(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UserError, match="is a file"):
        Run.open(file, kind="evaluation", config=CONFIG)
    with pytest.raises(UserError, match="no such folder"):
        Run.read(tmp_path / "absent")
    with pytest.raises(UserError, match=r"no config\.json"):
        Run.read(tmp_path)


def test_a_torn_last_line_is_left_out_and_cut_before_the_next(tmp_path: Path) -> None:
    with Run.open(tmp_path, kind="evaluation", config=CONFIG) as run:
        run.append("records", {"sample_id": "a", "trial": 0})
    with (tmp_path / "records.jsonl").open("ab") as file:
        file.write(b'{"sample_id": "b", "tr')
    assert Run.read(tmp_path).done_keys("records") == {("a", 0)}
    with Run.open(tmp_path, kind="evaluation", config=CONFIG) as run:
        run.append("records", {"sample_id": "b", "trial": 0})
        assert [row["sample_id"] for row in run.records("records")] == ["a", "b"]


def test_a_damaged_line_in_the_middle_is_an_error_with_its_number(tmp_path: Path) -> None:
    with Run.open(tmp_path, kind="evaluation", config=CONFIG) as run:
        run.append("records", {"sample_id": "a", "trial": 0})
        with (tmp_path / "records.jsonl").open("ab") as file:
            file.write(b'\x00\x00\n{"sample_id": "b", "trial": 0}\n')
        with pytest.raises(UserError, match=r"records\.jsonl, line 2"):
            run.records("records")


def test_of_two_rows_with_one_key_the_first_counts(tmp_path: Path) -> None:
    with Run.open(tmp_path, kind="evaluation", config=CONFIG) as run:
        run.append_all("records", [{"sample_id": "a", "trial": 0, "x": x} for x in (1, 2)])
        run.append("steps", {"step": 1, "loss": 2.0})
        run.append("steps", {"step": 1, "loss": 3.0})
        run.append("steps", {"note": "no key"})
        assert [row["x"] for row in run.records("records")] == [1]
        assert len(run.records("steps")) == 3
        assert run.records("steps", key=("step",)) == [
            {"step": 1, "loss": 2.0},
            {"note": "no key"},
        ]


WRITER = """
    import sys
    from pathlib import Path
    from kairoscope.runs import Run
    run = Run.open(Path(sys.argv[1]), kind="evaluation", config={})
    for i in range(10**9):
        run.append("records", {"sample_id": str(i), "trial": 0, "text": "x" * 3000})
        sys.stdout.write(f"{i}\\n")
        sys.stdout.flush()
"""


def test_kill_9_loses_nothing_that_was_finished(tmp_path: Path) -> None:
    script = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path)]
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 200:
                break
        with pytest.raises(UserError, match=rf"pid {process.pid}"):
            Run.open(tmp_path, kind="evaluation", config={})
        process.send_signal(signal.SIGKILL)
        finished = [int(line) for line in process.stdout.read().split("\n")[:-1]]
    last = max([200, *finished])
    with Run.open(tmp_path, kind="evaluation", config={}) as run:
        ids = [int(row["sample_id"]) for row in run.records("records")]
    assert ids == list(range(len(ids)))
    assert len(ids) >= last + 1


def test_what_a_killed_process_was_writing_is_taken_away(tmp_path: Path) -> None:
    with Run.open(tmp_path / "run", kind="evaluation", config=CONFIG):
        pass
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    torn = tmp_path / "run" / f".page.html.{gone.pid}.tmp"
    others = [
        tmp_path / "run" / f".page.html.{os.getpid()}.tmp",
        tmp_path / "run" / ".mine.tmp",
    ]
    for file in (torn, *others):
        file.write_text("half")
    with Run.open(tmp_path / "run", kind="evaluation", config=CONFIG):
        pass
    assert not torn.exists()
    assert all(file.exists() for file in others)


def test_the_lock_is_let_go_at_close(tmp_path: Path) -> None:
    first = Run.open(tmp_path, kind="evaluation", config={})
    with pytest.raises(UserError, match=f"pid {os.getpid()}"):
        Run.open(tmp_path, kind="evaluation", config={})
    first.close()
    Run.open(tmp_path, kind="evaluation", config={}).close()


def test_reading_writes_nothing(tmp_path: Path) -> None:
    Run.open(tmp_path, kind="evaluation", config={}).close()
    with pytest.raises(ValueError, match="opened to be read"):
        Run.read(tmp_path).append("records", {})


def test_a_full_disk_is_reported_and_loses_nothing(tmp_path: Path) -> None:
    """A file size limit makes the kernel take a part of a line and refuse the rest."""
    with Run.open(tmp_path, kind="evaluation", config={}) as run:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        rows = 0

        def fill() -> None:
            nonlocal rows
            for rows in range(1000):
                run.append("records", {"sample_id": str(rows), "trial": 0, "t": "y" * 700})

        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        try:
            with pytest.raises(UserError, match=f"no space left in {tmp_path}"):
                fill()
            with pytest.raises(UserError, match="no space left"):
                run.write_json("metrics.json", {"long": "z" * 20_000})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert 0 < rows < 1000
        assert len(run.records("records")) == rows
        assert (tmp_path / "records.jsonl").read_bytes().endswith(b"\n")
        assert sorted(p.name for p in tmp_path.glob("*metrics*")) == []
        run.append("records", {"sample_id": "after", "trial": 0})
        assert len(run.records("records")) == rows + 1


def test_a_folder_that_may_not_be_written_is_a_user_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write anywhere, so the refusal itself is made by hand."""

    def refuse(*args: object, **kwargs: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UserError, match="may not be written"):
        Run.open(tmp_path / "x", kind="evaluation", config={})


def test_an_atomic_file_is_the_old_or_the_new_one(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    storage.write_json_atomic(file, {"a": 1})
    with pytest.raises(ValueError, match="nan"):
        storage.write_json_atomic(file, {"a": float("nan")})
    with pytest.raises(TypeError, match="function"):
        storage.write_json_atomic(file, {"a": lambda: None})
    assert json.loads(file.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_records_survive_the_way_through_json() -> None:
    record = a_record()
    there = json.loads(json.dumps(record_to_json(record)))
    assert record_from_json(there) == record
    with pytest.raises(UserError, match="'colour'"):
        record_from_json({**there, "colour": 1})
    del there["gold"]
    with pytest.raises(UserError, match="'gold'"):
        record_from_json(there)


def test_any_text_of_a_model_can_be_kept(tmp_path: Path) -> None:
    text = "\ud800 \\\udc80 \x00 \u2028 \N{GRINNING FACE}"
    with Run.open(tmp_path, kind="evaluation", config={}) as run:
        run.append("records", {"text": text})
        assert run.records("records") == [{"text": text}]


def test_rows_in_a_given_order(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [{"clip": "é", "n": 0}, {"clip": "b", "n": 1}, {"other": 2}, {"clip": "b", "n": 3}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"clip": "torn"', "utf-8")
    found = list(read_lines_ordered(file, "clip", ["b", "missing", "torn", "é"]))
    assert found == [rows[1], rows[0]]
    assert list(read_lines_ordered(tmp_path / "absent.jsonl", "clip", ["b"])) == []


def test_text_in_parts_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "text"
    write_text_atomic(file, (part for part in ("a", "é\n", "")))
    assert file.read_text("utf-8") == "aé\n"

    def parts() -> Iterator[str]:
        yield "begun"
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_text_atomic(file, parts())
    assert file.read_text("utf-8") == "aé\n"
    assert [path.name for path in tmp_path.iterdir()] == ["text"]
