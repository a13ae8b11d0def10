"""The harness adds up correctly, and every benchmark runs, writes its page and hides this machine."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
if str(REPOSITORY) not in sys.path:
    sys.path.append(str(REPOSITORY))  # `benchmarks` is not installed with the package

from benchmarks import harness, results  # noqa: E402
from benchmarks.commands import run_command  # noqa: E402
from benchmarks.harness import Measured, Runs, Way  # noqa: E402

NAMES = (
    "cli_start",
    "stamping",
    "decode_to_input",
    "trials",
    "constrained",
    "store",
    "annotate",
    "signals",
    "training",
)


def busy(seconds: float) -> harness.Job:
    """A job that computes for so long, for the harness to measure."""

    def job() -> harness.Facts:
        end = harness.cpu_seconds() + seconds
        while harness.cpu_seconds() < end:
            pass
        return {"answer": 42}

    return job


def missing() -> harness.Job:
    raise harness.Unavailable("a package that nobody has")


def of(cpu_s: float, wall_s: float = 1.0) -> Measured:
    return Measured(cpu_s=cpu_s, wall_s=wall_s, peak_mib=100.0, facts={"bytes": cpu_s * 10})


def two_ways(a: list[float], b: list[float]) -> Runs:
    ways = tuple(Way(key=key, title=f"way {key}", function="") for key in "ab")
    return Runs(ways, {"a": tuple(map(of, a)), "b": tuple(map(of, b))}, {})


def test_ratios_are_taken_round_by_round_then_summed_up() -> None:
    # The second round was slow for both: a ratio of medians would say 1.5, no round did.
    runs = two_ways([2.0, 30.0, 2.0], [1.0, 10.0, 1.0])
    ratio = runs.ratio("a", "b")
    assert ratio == harness.Spread(median=2.0, low=2.0, high=3.0)
    assert runs.spread("a", "bytes") == harness.Spread(median=20.0, low=20.0, high=300.0)


def test_uneven_rounds_and_no_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        harness.pairwise_ratios([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="no round"):
        harness.spread([])
    with pytest.raises(ValueError, match="round"):
        harness.interleaved([], 0)


def test_ways_take_turns_and_a_missing_one_is_named_not_guessed() -> None:
    ways = [
        Way(key="a", title="a", function=f"{__name__}:busy", arguments={"seconds": 0.0}),
        Way(key="b", title="b", function=f"{__name__}:missing"),
        Way(key="c", title="c", function=f"{__name__}:busy", arguments={"seconds": 0.0}),
    ]
    order: list[str] = []
    runs = harness.interleaved(ways, 3, lambda what: order.append(what[-1]), fresh=False)
    assert order == list("abc") + list("ac") * 2
    assert [len(runs.measured[key]) for key in "ac"] == [3, 3]
    assert runs.unavailable == {"b": "a package that nobody has"}
    assert runs.ratio("a", "b") is None
    assert results.missing_notes(runs) == ("not measured: b: a package that nobody has",)
    table = results.cost_table("cost", runs, "a", "job")
    assert table.rows[1] == ("b", *("not measured",) * 5)


def test_a_fresh_process_reports_its_own_time_and_memory_per_unit() -> None:
    way = Way(
        key="x",
        title="x",
        function="benchmarks.input_jobs:bare_decoding",
        arguments={"clip": "no such clip", "threads": "one"},
    )
    with pytest.raises(RuntimeError, match="no such clip"):
        harness.measure(way)
    small = run_command([sys.executable, "-c", "pass"])
    code = "x = bytearray(150 * 2**20); x[::4096] = x[::4096]; sum(range(3_000_000))"
    large = run_command([sys.executable, "-c", code], watch=lambda: 7.0, every_s=0.005)
    assert large.peak_mib > small.peak_mib + 140
    assert large.cpu_s > small.cpu_s
    assert large.rss
    assert {mark for mark, _ in large.rss} == {7.0}
    with pytest.raises(RuntimeError, match="oh no"):
        run_command([sys.executable, "-c", "raise SystemExit('oh no')"])
    with pytest.raises(RuntimeError, match="no such program"):
        run_command(["no such program"])


def own_peak() -> harness.Job:
    """A job that does nothing in a process that is as small as it gets."""
    return dict


LARGE_PARENT = """
import json, os, resource, sys
os.environ["PYTHONPATH"] = "tests/unit"
ballast = bytearray(b"x") * 2**30
{then}
from benchmarks import commands, harness
way = harness.Way(key="x", title="x", function="test_benchmarks:own_peak")
command = [sys.executable, "-c", "x = bytearray(b'x') * (50 * 2**20)"]
print(json.dumps({{
    "parent": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "way": harness.measure(way).peak_mib,
    "command": commands.run_command(command).peak_mib,
}}))
"""


@pytest.mark.parametrize("then", ["pass", "del ballast"])
def test_memory_is_not_that_of_the_process_that_measures(then: str) -> None:
    # A process of its own takes the gibibyte: this one's mark would stay for the tests after it.
    code = LARGE_PARENT.format(then=then)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    mib = json.loads(done.stdout)
    assert mib["parent"] > 1024
    assert 50 < mib["command"] < 100
    assert 5 < mib["way"] < 100


def test_times_are_per_unit_and_exclude_warm_ups() -> None:
    arguments = {"seconds": 0.04}
    function = f"{__name__}:busy"
    way = Way(key="x", title="x", function=function, arguments=arguments, warmups=2, units=2)
    measured = harness.measure(way, fresh=False)
    assert 0.02 <= measured.cpu_s < 0.04
    assert measured.wall_s >= 0.02
    assert measured.facts == {"answer": 42}


def test_goals_know_their_direction_and_say_when_they_are_missed() -> None:
    assert results.Goal(text="cost", limit=1.4, value=1.4).met is True
    assert results.Goal(text="cost", limit=1.4, value=1.41).met is False
    assert results.Goal(text="speed", limit=2.0, value=1.9, at_least=True).met is False
    assert results.Goal(text="cost", limit=1.4, value=None).met is None
    page = results.markdown(
        results.Result(
            name="n",
            title="T",
            what="W",
            tables=(),
            goals=(results.Goal(text="cost", limit=1.4, value=1.5),),
        ),
        {"versions": {}, "command": "c", "date": "d", "machine": "m", "load_before": 0.0},
    )
    assert "| cost | at most 1.4 | 1.5 | **no** |" in page


def test_commands_are_shown_without_folders() -> None:
    shown = results.shown_command("python -m benchmarks.x", ["--model", "/home/me/models/tiny"])
    assert shown == "python -m benchmarks.x --model tiny"
    shown = results.shown_command("python -m benchmarks.x", ["--clip", "arm=/home/me/a clip.mp4"])
    assert shown == "python -m benchmarks.x --clip 'arm=a clip.mp4'"


def test_the_overview_holds_every_goal_of_every_committed_result() -> None:
    page = results.README.read_text(encoding="utf-8")
    assert results.with_overview(page, results.RESULTS) == page
    assert page.count(results.MARKS[0]) == page.count(results.MARKS[1]) == 1
    for file in results.RESULTS.glob("*.json"):
        for goal in json.loads(file.read_text())["goals"]:
            assert goal["text"] in page


def test_the_overview_gathers_cases_and_marks_what_is_missed(tmp_path: Path) -> None:
    goals = [
        {"text": "t", "limit": 1.4, "value": 1.2, "at_least": False, "unit": "", "case": "a"},
        {"text": "t", "limit": 1.4, "value": 1.5, "at_least": False, "unit": "", "case": "b"},
        {"text": "u", "limit": 2.0, "value": None, "at_least": True, "unit": " s"},
    ]
    (tmp_path / "x.json").write_text(json.dumps({"name": "x", "goals": goals}))
    rows = results.overview(tmp_path).splitlines()[2:]
    assert rows == [
        "| t | at most 1.4 | 1.2 a; **no: 1.5 b** | [x](results/x.md) |",
        "| u | at least 2 s | not measured | [x](results/x.md) |",
    ]


def test_lines_of_a_growing_file_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    count = importlib.import_module("benchmarks.annotate").lines_of(file)
    assert count() == 0
    file.write_text("a\nb")
    assert count() == 1
    with file.open("a") as stream:
        stream.write("b\nc\n")
    assert count() == 3


@pytest.fixture(scope="module")
def smoke_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All benchmarks on tiny clips, in one process of their own."""
    out = tmp_path_factory.mktemp("results")
    command = [sys.executable, "-m", "benchmarks", "--smoke", "--out", str(out)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return out


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_runs_and_hides_this_machine(name: str, smoke_results: Path) -> None:
    page = (smoke_results / f"{name}.md").read_text()
    text = (smoke_results / f"{name}.json").read_text()
    row = json.loads(text)
    assert row["goals"]
    assert all(goal["text"] in page for goal in row["goals"])
    assert row["command"] in page
    assert row["versions"]["kairoscope"] in page
    assert "figures mean nothing" in page
    for private in (str(REPOSITORY), str(Path.home()), str(smoke_results)):
        assert private not in page
        assert private not in text


@pytest.mark.slow
def test_help_imports_nothing_heavy(smoke_results: Path) -> None:
    row = json.loads((smoke_results / "cli_start.json").read_text())
    names = {name for name, _ in row["modules"]}
    assert "kairoscope.cli.app" in names
    assert not {"torch", "transformers", "av", "datasets"} & names


@pytest.mark.slow
def test_constrained_answers_of_random_weights_all_parse(smoke_results: Path) -> None:
    row = json.loads((smoke_results / "constrained.json").read_text())
    for key, runs in row["runs"].items():
        if not key.endswith("_free"):
            assert [run["facts"]["complete_share"] for run in runs] == [1.0]
