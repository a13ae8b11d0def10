"""vLLM in this process beside the network in this process: trials a second, and what a constraint costs.

Runs with the Python of an environment that has vLLM, such as the one of `make test-servers`.
"""

import sys
from functools import cache
from typing import Any

from benchmarks.clips import Clip, clips_for
from benchmarks.harness import Facts, Job, Runs, Way, interleaved
from benchmarks.results import (
    Result,
    Table,
    announce,
    arguments,
    cost_table,
    missing_notes,
    number,
    write,
)

TRIALS = 10
LOADED = "Where the load average before the start is not low, go by CPU time: other processes had the cores."
TEMPERATURE = 0.6
"""The recipe's."""
ENGINES = (("in_process", "in process"), ("vllm", "vLLM"))
ASKED = (
    ("free_one", "free", 1, 1),
    ("free_ten", "free", TRIALS, 1),
    ("free_requests", "free", 1, TRIALS),
    ("constrained_one", "constrained", 1, 1),
    ("constrained_ten", "constrained", TRIALS, 1),
    ("posterior", "posterior", 1, 1),
)
"""(key, decoding, trials of a request, requests for a clip)."""


@cache
def started(engine: str) -> Any:
    """One engine for all ways; vLLM takes longest to start, and is warmed up with a clip."""
    from benchmarks.engines import load_engine, requests_for
    from kairoscope.core import Sampling

    here = load_engine("builtin", preloaded=False)
    model: Any = here
    if engine == "vllm":
        from kairoscope.models.vllm_engine import VllmModel

        model = VllmModel("builtin", max_model_len=4096)
    for decoding in ("free", "constrained"):
        list(
            model.answer(
                requests_for(here, clips_for(1, 256, smoke=False)),
                Sampling(max_new_tokens=4),
                decoding,
            )
        )
    return model


def answers(
    engine: str,
    clips: list[list[Any]],
    decoding: str,
    *,
    trials: int,
    copies: int,
    max_new_tokens: int,
) -> Job:
    """Answers to all clips; the engine is started, and warm, before the clock runs."""
    from benchmarks.engines import load_engine, requests_for
    from kairoscope.core import Failed, Sampling

    asked = [Clip(path, tuple(events)) for path, events in clips]
    requests = requests_for(load_engine("builtin", preloaded=False), asked, copies)
    model = started(engine)
    sampling = Sampling(trials=trials, temperature=TEMPERATURE, max_new_tokens=max_new_tokens)

    def job() -> Facts:
        num_answers = num_tokens = 0
        for name, completions in model.answer(requests, sampling, decoding):
            if isinstance(completions, Failed):
                raise RuntimeError(f"{name}: {completions.reason}")
            num_answers += len(completions)
            num_tokens += sum(completion.num_new_tokens for completion in completions)
        return {"answers": num_answers, "tokens_per_answer": num_tokens / num_answers}

    return job


def measured(clips: list[Clip], rounds: int, max_new_tokens: int) -> Runs:
    """Both engines in turns, in one process: vLLM takes minutes to start."""
    ways = [
        Way(
            key=f"{engine}_{key}",
            title=f"{title}, {decoding}, {trials} trials" + f", {copies} requests" * (copies > 1),
            function="benchmarks.vllm_offline:answers",
            arguments={
                "engine": engine,
                "clips": [[clip.path, clip.events] for clip in clips],
                "decoding": decoding,
                "trials": trials,
                "copies": copies,
                "max_new_tokens": max_new_tokens,
            },
            units=len(clips),
        )
        for key, decoding, trials, copies in ASKED
        for engine, title in ENGINES
    ]
    return interleaved(ways, rounds, announce, fresh=False)


def result(runs: Runs, num_clips: int) -> Result:
    """Tables."""
    rows = []
    for way in runs.ways:
        wall_s, cpu_s = runs.spread(way.key, "wall_s").median, runs.spread(way.key, "cpu_s").median
        count = runs.spread(way.key, "answers").median
        tokens = runs.spread(way.key, "tokens_per_answer").median
        units = num_clips
        rows.append(
            (
                way.title,
                number(count / (wall_s * units)),
                number(count / (cpu_s * units)),
                number(tokens),
                number(1000 * cpu_s * units / (count * tokens)),
            )
        )
    columns = ("way", "answers/s of wall time", "answers/CPU s", "tokens", "CPU ms a token")
    tables = [
        Table(title="Answers a second, clip decoding included", columns=columns, rows=tuple(rows))
    ]
    for engine, title in ENGINES:
        ways = tuple(way for way in runs.ways if way.key.startswith(f"{engine}_"))
        part = Runs(ways, runs.measured, runs.unavailable)
        tables.append(
            cost_table(f"{title}, beside one free answer", part, f"{engine}_free_one", "clip")
        )
    return Result(
        name="vllm_offline",
        title="vLLM in this process, beside the network in this process",
        what=(
            f"{num_clips} clips of 10 s, 256 x 256, 30 fps, asked about their own events by the model "
            f"`builtin` at temperature {TEMPERATURE}, once and ten times, the ten as samples of one "
            "request and as ten requests (the recipes' way). The CPU build of vLLM, float32, on a "
            "network of 4 million weights: what is measured is the cost of what stands around the "
            "network. Of a network of billions of weights on a GPU it says nothing."
        ),
        tables=tuple(tables),
        goals=(),
        notes=(*missing_notes(runs), LOADED, f"vLLM {_vllm_version()}"),
        data=runs.to_json(),
    )


def _vllm_version() -> str:
    from importlib.metadata import packages_distributions, version

    names = packages_distributions().get("vllm", [])
    return f"{names[0]} {version(names[0])}" if names else "is not installed"


def main(argv: list[str]) -> None:
    """Measure and write."""
    options = arguments("vllm_offline", __doc__, argv)
    clips = clips_for(2 if options.smoke else 4, 256, smoke=options.smoke)
    max_new_tokens = 16 if options.smoke else 256
    runs = measured(clips, options.rounds, max_new_tokens)
    write(result(runs, len(clips)), options)


if __name__ == "__main__":
    main(sys.argv[1:])
