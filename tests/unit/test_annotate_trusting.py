"""How far sources are believed on a dataset: by labels, by agreement, and what is kept of it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kairoscope.annotate.evidence import packed
from kairoscope.annotate.gathered import ANSWERS, Gathered
from kairoscope.annotate.placing import Placing
from kairoscope.annotate.sealed import sealed
from kairoscope.annotate.trusting import Trusted, after_training_on, trusted
from kairoscope.data.labels import parse_row
from kairoscope.data.learned_clips import LEARNED, hashes_of, learned_by
from kairoscope.fusion import ends_in_turn, fuse
from kairoscope.fusion.doubt import doubting, lost_share
from kairoscope.pool_fitting import default_pool
from kairoscope.runs import Run

QUERY = ("grasping it", "pressing it")
TIMES_S = [i / 20 for i in range(160)]
NUM_EPISODES = 12


def peak(at_s: float, width_s: float = 0.1) -> np.ndarray:
    weights = np.exp(-np.abs(np.array(TIMES_S) - at_s) / width_s)
    return np.asarray(0.99 * weights / weights.sum() + 0.01 / len(TIMES_S))


FLAT = np.full(len(TIMES_S), 1 / len(TIMES_S))


class NoDataset:
    """Stands where only the path is asked for."""

    path = Path("demos")
    format = "folder"


def signal(at_s: float | None) -> dict[str, Any]:
    density = FLAT if at_s is None else peak(at_s)
    frame = None if at_s is None else round(at_s * 20)
    return {"frame": frame, "density": packed(density), "reason": "…"}


def write(run: Run, truths: Sequence[tuple[float, float]], said: np.ndarray, labelled: int) -> None:
    """Signals that know the first event, a model that says something of both."""
    for number, (first_s, second_s) in enumerate(truths):
        labels: list[Any] = [None, None]
        if number < labelled:
            labels = [[0.0, first_s], [first_s, second_s]]
        row: dict[str, Any] = {
            "clip": f"e{number:02d}", "problem": None, "times_s": TIMES_S, "digest": "d", "videos": {},
            "cameras_in_file": [], "task": "", "source": None, "labels": labels,
            "labelled_by": "human", "label_names": [], "notes": [], "state": "s",
            "signals": [signal(first_s), signal(None)],
        }  # fmt: skip
        run.append("signals", sealed(row))
        posteriors = [
            {"slot": f"end {i + 1}", "choices": [str(t) for t in TIMES_S], "probabilities": peak(t)}
            for i, t in enumerate(said[number])
        ]
        for posterior in posteriors:
            posterior["probabilities"] = [float(p) for p in posterior["probabilities"]]
        answer = {
            "clip": f"e{number:02d}", "digest": "d", "file": None, "events": [], "problem": None,
            "posteriors": posteriors,
        }  # fmt: skip
        run.append(ANSWERS, sealed(answer))


def judged(
    tmp_path: Path, *, lost: bool, labelled: int = 0
) -> tuple[Trusted, list[float], Gathered, Run]:
    """(what is believed, errors of the first event), for a model that is lost or is not."""
    rng = np.random.default_rng(3)
    truths = [(float(rng.uniform(1, 3)), float(rng.uniform(4, 7))) for _ in range(NUM_EPISODES)]
    said = np.array(truths)
    if lost:
        said = np.sort(rng.uniform(0.5, 7.5, said.shape), axis=1)
    run = Run.open(tmp_path / "run", kind="annotation", config={})
    write(run, truths, said, labelled)
    gathered = Gathered(dataset=NoDataset(), query=QUERY, run=run)  # type: ignore[arg-type]
    examples = gathered.examples()
    asked = frozenset(example.clip for example in examples)
    trust = trusted(gathered, asked, examples)
    placing = Placing(
        gathered=gathered, plan=None, trust=trust, examples=examples, asked=asked, camera=None,
        clips={},
    )  # fmt: skip
    errors = []
    for row, truth in zip(placing.rows(), truths, strict=True):
        errors += [abs(e["end_s"] - truth[i]) for i, e in enumerate(row["events"]) if i == 0]
    return trust, errors, gathered, run


@pytest.mark.parametrize("labelled", [0, 4])
@pytest.mark.parametrize("lost", [False, True])
def test_a_lost_model_is_found_with_and_without_labels(
    tmp_path: Path, *, lost: bool, labelled: int
) -> None:
    trust, errors, _, run = judged(tmp_path, lost=lost, labelled=labelled)
    with run:
        assert (trust.lost["model"] > 0.5) == lost
        assert trust.num_labelled == labelled
        floors = [
            p.mix(("model", "signals")).trust["model"].floor for p in (trust.pool, default_pool())
        ]
        assert (floors[0] > 5 * floors[1]) == lost
        assert max(errors) < 0.3  # the signals know the first event
        assert trust.plain()["lost"]["model"] == round(trust.lost["model"], 4)


@pytest.mark.parametrize("seen", [3, 200])
def test_a_model_is_not_judged_by_clips_that_it_learned(tmp_path: Path, seen: int) -> None:
    """Right about its three clips, and nobody knows about the others: little is believed, after few."""
    trust, _, gathered, run = judged(tmp_path, lost=False, labelled=3)
    with run:
        examples = gathered.examples()
        asked = frozenset(example.clip for example in examples)
        blind = Gathered(dataset=gathered.dataset, query=QUERY, run=run)
        learned = trusted(blind, asked, examples, asked, seen)
        assert learned.num_learned == 3
        assert learned.num_compared < trust.num_compared
        # Signals know one event of every other episode, and the model finds it.
        assert learned.lost["model"] < 0.4
        few, many = after_training_on(3), after_training_on(200)
        assert lost_share([], few) > 0.75 > 0.3 > lost_share([], many)
        assert (learned.pool != trust.pool) or seen == 200


def test_what_a_model_learned_by_heart_counts_for_less_where_only_it_speaks(
    tmp_path: Path,
) -> None:
    times_s = np.array(TIMES_S)
    slots = {"end 1": peak(2.0)}
    sure = {"model": slots, "prior": {"end 1": peak(5.0, 0.6)}}
    believed = doubting(default_pool(), {"model": lost_share([], after_training_on(3))})
    placed = [
        fuse(times_s, ends_in_turn(1), sure, pool)[0].time_s for pool in (default_pool(), believed)
    ]
    assert placed[0] < 2.5
    assert placed[1] > 4.0


def test_a_checkpoint_names_its_clips_where_they_are_few(tmp_path: Path) -> None:
    clips = [tmp_path / f"{number}.mp4" for number in range(3)]
    for number, clip in enumerate(clips):
        clip.write_bytes(bytes([number]))
    (tmp_path / "again.mp4").write_bytes(bytes([0]))
    found = hashes_of([*clips, tmp_path / "gone.mp4"])
    assert len(found) == 3
    assert hashes_of([tmp_path / "again.mp4"])[0] in found
    assert hashes_of(clips * 100) == ()
    (tmp_path / "kairoscope.json").write_text(json.dumps({LEARNED: list(found)}))
    assert learned_by(str(tmp_path)) == frozenset(found)
    assert learned_by("builtin") == frozenset()


def test_corrections_are_labels_and_examples(tmp_path: Path) -> None:
    *_, gathered, run = judged(tmp_path, lost=False)
    with run:
        correction = parse_row(
            {
                "video": "a.mp4", "clip": "e03", "group": "e03", "task": "t", "duration_s": 8.0,
                "events": [{"name": QUERY[0], "start_s": 0.0, "end_s": 6.0}],
            },
            1,
        )  # fmt: skip
        ours = Gathered(
            dataset=gathered.dataset, query=QUERY, run=run, corrections={"e03": correction}
        )
        assert ours.examples() == ()  # one of two events
        placing = Placing(
            gathered=ours, plan=None, trust=trusted(ours, frozenset(), ()), examples=(),
            asked=frozenset(), camera=None, clips={},
        )  # fmt: skip
        rows = {row["clip"]: row for row in placing.rows()}
        found = rows["e03"]["events"]
        assert [(e["event"], e["end_s"], e["source"]) for e in found] == [(QUERY[0], 6.0, "label")]
        assert [one.name for one in placing.corrected["e03"].events] == [QUERY[0]]
        assert "e03" not in placing.found
        ignoring = Gathered(
            dataset=gathered.dataset, query=QUERY, run=run, corrections={"e03": correction},
            ignores_labels=True,
        )  # fmt: skip
        labels = {row["clip"]: row["labels"] for row in ignoring.rows()}
        assert labels["e03"] == [[0.0, 6.0], None]


def test_answers_about_another_recording_do_not_count(tmp_path: Path) -> None:
    *_, gathered, run = judged(tmp_path, lost=True)
    with run:
        rows = run.records(ANSWERS, ("clip",))
        run.forget(ANSWERS, lambda _row: True)
        for row in rows:
            run.append(ANSWERS, sealed({**row, "digest": "another"}))
        assert trusted(gathered, frozenset(), ()).lost == {}
        assert trusted(gathered, None, ()).pool == default_pool()
