"""What the store of answers costs and saves: a clip with it cold, warm and off; bytes an answer."""

import sys
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.clips import Clip, clips_for, model_name, smoke_model
from benchmarks.harness import Facts, Job, Runs, Spread, Way, interleaved, spread
from benchmarks.results import (
    Goal,
    Result,
    Table,
    announce,
    arguments,
    missing_notes,
    number,
    span,
    write,
)

TRIALS = {"posterior": 1, "constrained": 10}
"""Decoding -> trials."""
WAYS = (
    ("model", "the model, no store"),
    ("cold", "the model's answers at hand, kept in an empty store"),
    ("warm", "all answers in the store"),
)
MOST_COLD, MOST_WARM_MS = 0.02, 5.0


class Canned:
    """Answers that were made before: what is left to measure is the store."""

    name = identity = "canned"

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    def answer(
        self, requests: Iterable[Any], _sampling: Any, _decoding: Any
    ) -> Iterator[tuple[str, Any]]:
        """As `core.Model` has it."""
        for request in requests:
            yield request.id, self.answers[request.id]


def answers(model: str, clips: list[list[Any]], way: str, decoding: str) -> Job:
    """One question about each clip, by the model itself or by the store before it."""
    from kairoscope.core import Sampling
    from kairoscope.store import AnswerStore, Stored

    engine, requests = _engine(model, tuple((path, tuple(events)) for path, events in clips))
    sampling = Sampling(trials=TRIALS[decoding], temperature=1.0)
    if way == "model":

        def ask() -> Facts:
            for _ in engine.answer(requests, sampling, decoding):
                pass
            return {}

        return ask
    canned = _canned(model, tuple((path, tuple(events)) for path, events in clips), decoding)
    folder = Path(tempfile.mkdtemp(prefix="store-"))
    stores = iter(range(1_000_000))
    shared = AnswerStore.open(folder / "shared.sqlite")

    def job() -> Facts:
        file = folder / f"{next(stores)}.sqlite"
        store = AnswerStore.open(file) if way == "cold" else shared
        stored = Stored(canned, store)
        for _ in stored.answer(requests, sampling, decoding):  # type: ignore[arg-type]
            pass
        size = sum(row["bytes"] for row in store.summary())
        if way == "cold":
            store.close()
        return {
            "kib": size / len(clips) / 1024,
            "from_store": stored.count.stored / len(clips),
            "clip_kib": sum(Path(path).stat().st_size for path, _ in clips) / len(clips) / 1024,
        }

    return job


@cache
def _engine(model: str, clips: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[Any, list[Any]]:
    """The model and the questions."""
    from benchmarks.engines import load_engine, requests_for

    engine = load_engine(model, preloaded=False)
    return engine, requests_for(engine, [Clip(path, events) for path, events in clips])


@cache
def _canned(model: str, clips: tuple[tuple[str, tuple[str, ...]], ...], decoding: str) -> Canned:
    from kairoscope.core import Sampling

    engine, requests = _engine(model, clips)
    sampling = Sampling(trials=TRIALS[decoding], temperature=1.0)
    return Canned(dict(engine.answer(requests, sampling, decoding)))


def measured(model: str, clips: list[Clip], rounds: int) -> Runs:
    """All ways in turns, in one process: memory is not asked about, and loading takes longest."""
    ways = [
        Way(
            key=f"{decoding}_{way}",
            title=title,
            function="benchmarks.store:answers",
            arguments={
                "model": model,
                "clips": [[clip.path, clip.events] for clip in clips],
                "way": way,
                "decoding": decoding,
            },
            warmups=0 if way == "model" else 1,
            units=len(clips),
        )
        for decoding in TRIALS
        for way, title in WAYS
    ]
    return interleaved(ways, rounds, announce, fresh=False)


def result(runs: Runs, model: str, num_clips: int) -> Result:
    """Tables and goals."""
    tables, goals = [], []
    for decoding, trials in TRIALS.items():
        keys = [f"{decoding}_{way}" for way, _ in WAYS]
        rows = []
        for key, (_, title) in zip(keys, WAYS, strict=True):
            ms = [
                span(_scaled(runs, key, figure)) if key not in runs.unavailable else "not measured"
                for figure in ("cpu_s", "wall_s")
            ]
            share = runs.ratio(key, keys[0])
            size = "" if key == keys[0] else number(runs.spread(key, "kib").median)
            rows.append((title, *ms, span(share), size))
        case = f"{decoding}, {trials} trial{'s' if trials > 1 else ''}"
        columns = (
            "way",
            "CPU ms a clip",
            "wall ms a clip",
            "CPU, ratio to the model",
            "KiB a clip",
        )
        tables.append(Table(title=f"A clip: {case}", columns=columns, rows=tuple(rows)))
        cold, warm = runs.ratio(keys[1], keys[0]), _scaled(runs, keys[2], "wall_s")
        goals += [
            Goal(
                text="keeping an answer: CPU time over the model's",
                limit=MOST_COLD,
                value=cold.median if cold else None,
                case=case,
            ),
            Goal(
                text="an answer from the store, wall time",
                limit=MOST_WARM_MS,
                value=warm.median,
                unit="ms",
                case=case,
            ),
        ]
    size = number(runs.spread("posterior_warm", "clip_kib").median)
    return Result(
        name="store",
        title="The store of answers: cold, warm and off",
        what=(
            f"{num_clips} clips of 10 s ({size} KiB each), each asked about its own events by the "
            f"model `{model}`, clips decoded as they come. Cold: the same answers, made before, "
            "through an empty store: hashing the clip, looking, packing, writing. Warm: hashing, "
            "looking, reading, checking the grammar. Without a store nothing of this is done."
        ),
        tables=tuple(tables),
        goals=tuple(goals),
        notes=missing_notes(runs),
        data=runs.to_json(),
    )


def _scaled(runs: Runs, key: str, figure: str) -> Spread:
    return spread([1000 * value for value in runs.values(key, figure)])


def main(argv: list[str]) -> None:
    """Measure and write."""
    model: dict[str, Any] = {"help": "as kairoscope's --model (default: builtin)"}
    options = arguments("store", __doc__, argv, model=model)
    spec = options.model or (smoke_model() if options.smoke else "builtin")
    clips = clips_for(2 if options.smoke else 10, 256, smoke=options.smoke)
    runs = measured(spec, clips, options.rounds)
    write(result(runs, model_name(spec), len(clips)), options)


if __name__ == "__main__":
    main(sys.argv[1:])
