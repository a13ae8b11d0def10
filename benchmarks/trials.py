"""Ten sampled answers from one prefill, beside one answer and beside ten separate requests."""

import sys
from typing import Any

from benchmarks.clips import Clip, clips_for, model_name, smoke_model
from benchmarks.harness import Facts, Job, Runs, Way, interleaved
from benchmarks.results import (
    Goal,
    Result,
    announce,
    arguments,
    cost_table,
    missing_notes,
    number,
    write,
)

TRIALS = 10
TEMPERATURE = 0.6
"""The recipe's."""
LIMIT = 2.5
KINDS = (("constrained", False), ("constrained", True), ("free", False), ("free", True))
"""(decoding, whether the clips were decoded before)."""
COUNTS = (("one", 1, 1), ("ten", TRIALS, 1), ("ten_requests", 1, TRIALS))
"""(key, trials of a request, requests for a clip)."""


def answers(
    model: str,
    clips: list[list[Any]],
    decoding: str,
    *,
    trials: int,
    copies: int,
    preloaded: bool,
    max_new_tokens: int,
) -> Job:
    """Answer for all clips, `trials` times from one prefill, `copies` times anew."""
    from benchmarks.engines import load_engine, requests_for
    from kairoscope.core import Failed, Sampling

    engine = load_engine(model, preloaded=preloaded)
    requests = requests_for(engine, [Clip(path, tuple(events)) for path, events in clips], copies)
    sampling = Sampling(trials=trials, temperature=TEMPERATURE, max_new_tokens=max_new_tokens)

    def job() -> Facts:
        num_answers = num_tokens = 0
        for name, completions in engine.answer(requests, sampling, decoding):  # type: ignore[arg-type]
            if isinstance(completions, Failed):
                raise RuntimeError(f"{name}: {completions.reason}")
            num_answers += len(completions)
            num_tokens += sum(completion.num_new_tokens for completion in completions)
        return {"answers": num_answers, "tokens_per_answer": num_tokens / num_answers}

    return job


def measured(
    model: str, clips: list[Clip], rounds: int, max_new_tokens: int, *, fresh: bool
) -> Runs:
    """All ways in turns."""
    titles = {
        "one": "one trial",
        "ten": "ten trials from one prefill",
        "ten_requests": "ten requests of one trial",
    }
    ways = [
        Way(
            key=f"{decoding}{'_decoded' * preloaded}_{key}",
            title=titles[key],
            function="benchmarks.trials:answers",
            arguments={
                "model": model,
                "clips": [[clip.path, clip.events] for clip in clips],
                "decoding": decoding,
                "trials": trials,
                "copies": copies,
                "preloaded": preloaded,
                "max_new_tokens": max_new_tokens,
            },
            warmups=1,
            units=len(clips),
        )
        for decoding, preloaded in KINDS
        for key, trials, copies in COUNTS
    ]
    return interleaved(ways, rounds, announce, fresh=fresh)


def result(runs: Runs, model: str, num_clips: int) -> Result:
    """Tables and goals."""
    tables, goals = [], []
    for decoding, preloaded in KINDS:
        kind = f"{decoding}{'_decoded' * preloaded}"
        ways = tuple(way for way in runs.ways if way.key.removeprefix(f"{kind}_") in _COUNT_KEYS)
        part = Runs(ways, runs.measured, runs.unavailable)
        with_clip = "without decoding the clip" if preloaded else "clip decoding included"
        tokens = runs.spread(f"{kind}_ten", "tokens_per_answer").median
        title = f"{decoding} answers of {number(tokens)} tokens, {with_clip}"
        tables.append(cost_table(title, part, f"{kind}_one", "clip"))
        if preloaded:
            continue  # what a user asks for begins with the file
        for figure, name in (("cpu_s", "CPU"), ("wall_s", "wall")):
            ratio = runs.ratio(f"{kind}_ten", f"{kind}_one", figure)
            goals.append(
                Goal(
                    text=f"ten {decoding} trials, {name} time, ratio to one",
                    limit=LIMIT,
                    value=ratio.median if ratio else None,
                )
            )
    return Result(
        name="trials",
        title="Ten sampled answers to one clip",
        what=(
            f"{num_clips} clips of 10 s, 256 x 256, 30 fps, each asked about its own events by the "
            f"model `{model}` at temperature {TEMPERATURE}: once, ten times from one prefill of the "
            "video, and ten times as requests of their own, which is what evaluating with ten "
            "trials costs with an engine that does not share the prefill. Goals are about the whole, "
            "from the file on; what the network alone costs is beside it."
        ),
        tables=tuple(tables),
        goals=tuple(goals),
        notes=missing_notes(runs),
        data=runs.to_json(),
    )


_COUNT_KEYS = {key for key, _, _ in COUNTS}


def main(argv: list[str]) -> None:
    """Measure and write."""
    model: dict[str, Any] = {"help": "as kairoscope's --model (default: builtin)"}
    options = arguments("trials", __doc__, argv, model=model)
    spec = options.model or (smoke_model() if options.smoke else "builtin")
    clips = clips_for(2 if options.smoke else 8, 256, smoke=options.smoke)
    max_new_tokens = 16 if options.smoke else 256
    runs = measured(spec, clips, options.rounds, max_new_tokens, fresh=not options.smoke)
    write(result(runs, model_name(spec), len(clips)), options)


if __name__ == "__main__":
    main(sys.argv[1:])
