"""Constrained and posterior decoding beside free decoding: time, forward passes, parseable answers."""

import sys
from typing import Any

from benchmarks.clips import Clip, clips_for, model_name, smoke_model
from benchmarks.harness import Facts, Job, Runs, Way, interleaved
from benchmarks.results import (
    Goal,
    Result,
    Table,
    announce,
    arguments,
    cost_table,
    missing_notes,
    number,
    write,
)

CASES = (
    ("greedy", "the model, most likely tokens", False, 0.0),
    ("hot", "the model, temperature 1.5", False, 1.5),
    ("random", "random weights, temperature 1.5", True, 1.5),
)
"""(key, title, whether its weights are random, temperature)."""
DECODINGS = ("free", "constrained", "posterior")
FIGURES = (
    ("answer_ms", "ms per answer"),
    ("prefill_ms", "of it prefill"),
    ("passes", "later forward passes"),
    ("tokens", "tokens"),
    ("token_ms", "ms per token, prefill apart"),
    ("outside_share", "of that outside the network"),
    ("parsed_share", "answers that parse"),
    ("complete_share", "with every event"),
)


def answers(
    model: str,
    clips: list[list[Any]],
    decoding: str,
    *,
    random_weights: bool,
    temperature: float,
    max_new_tokens: int,
) -> Job:
    """One answer for each clip, clips decoded before; what the network and what the rest took."""
    from benchmarks.engines import PassClock, load_engine, requests_for
    from kairoscope.core import Failed, Sampling, Unparsed
    from kairoscope.events import aligned
    from kairoscope.recipes.subtask_times import TASK

    asked = [Clip(path, tuple(events)) for path, events in clips]
    engine = load_engine(model, preloaded=True, random_weights=random_weights)
    requests = requests_for(engine, asked)
    sampling = Sampling(temperature=temperature, max_new_tokens=max_new_tokens)

    def job() -> Facts:
        clock = PassClock(engine.checkpoint.network)
        seconds, tokens, parsed, complete = 0.0, 0, 0, 0
        texts = []
        for clip, (name, answer) in zip(
            asked,
            engine.answer(requests, sampling, decoding),  # type: ignore[arg-type]
            strict=True,
        ):
            if isinstance(answer, Failed):
                raise RuntimeError(f"{name}: {answer.reason}")
            seconds += answer[0].seconds
            tokens += answer[0].num_new_tokens
            texts.append(answer[0].text)
            value = TASK.parse(clip.events, answer[0].text)
            if not isinstance(value, Unparsed):
                parsed += 1
                complete += all(event is not None for event in aligned(value, clip.events))
        clock.stop()
        prefill_s, later_s = sum(clock.prefill_s), sum(clock.later_s)
        writing_s = seconds - prefill_s
        return {
            "answer_ms": 1000 * seconds / len(clips),
            "prefill_ms": 1000 * prefill_s / len(clips),
            "passes": len(clock.later_s) / len(clips),
            "tokens": tokens / len(clips),
            "token_ms": 1000 * writing_s / max(tokens, 1),
            "outside_share": (writing_s - later_s) / writing_s,
            "parsed_share": parsed / len(clips),
            "complete_share": complete / len(clips),
            "texts": texts[:3],
        }

    return job


def measured(
    model: str, clips: list[Clip], rounds: int, max_new_tokens: int, *, fresh: bool
) -> Runs:
    """All decodings of all cases in turns."""
    ways = [
        Way(
            key=f"{case}_{decoding}",
            title=decoding,
            function="benchmarks.constrained:answers",
            arguments={
                "model": model,
                "clips": [[clip.path, clip.events] for clip in clips],
                "decoding": decoding,
                "random_weights": random_weights,
                "temperature": temperature,
                "max_new_tokens": max_new_tokens,
            },
            warmups=1,
            units=len(clips),
        )
        for case, _, random_weights, temperature in CASES
        for decoding in DECODINGS
    ]
    return interleaved(ways, rounds, announce, fresh=fresh)


def result(runs: Runs, model: str, num_clips: int, max_new_tokens: int) -> Result:
    """Tables and goals."""
    tables, goals = [], []
    for case, title, _, _ in CASES:
        ways = tuple(way for way in runs.ways if way.key.startswith(f"{case}_"))
        rows = tuple(
            (way.title, *(number(runs.spread(way.key, key).median) for key, _ in FIGURES))
            for way in ways
        )
        columns = ("decoding", *(name for _, name in FIGURES))
        tables.append(Table(title=f"What an answer takes: {title}", columns=columns, rows=rows))
        part = Runs(ways, runs.measured, runs.unavailable)
        tables.append(
            cost_table(f"Cost beside free decoding: {title}", part, ways[0].key, "answer")
        )
        for way in ways[1:]:
            cost = runs.ratio(way.key, ways[0].key, "token_ms")
            goals += [
                Goal(
                    text=f"{way.title} answers that parse and hold every event",
                    limit=1.0,
                    value=runs.spread(way.key, "complete_share").low,
                    at_least=True,
                    case=title,
                ),
                Goal(
                    text=f"{way.title} decoding: time of a token, prefill apart, ratio to free",
                    limit=1.0,
                    value=cost.median if cost else None,
                    case=title,
                ),
            ]
    return Result(
        name="constrained",
        title="Constrained against free decoding",
        what=(
            f"{num_clips} clips of 10 s, each asked about its own events by the model `{model}`. "
            "Free: whatever the model writes, one forward pass a token, at most "
            f"{max_new_tokens} tokens. Constrained: the task's grammar, one forward pass for each "
            "time, which is drawn (at temperature 0: the most likely). Posterior: the same with the "
            "median of the distribution over times, which is kept. Clips are decoded before. A "
            "share is the worst of the rounds in the goals and the median in the tables."
        ),
        tables=tuple(tables),
        goals=tuple(goals),
        notes=missing_notes(runs),
        data=runs.to_json(),
    )


def main(argv: list[str]) -> None:
    """Measure and write."""
    model: dict[str, Any] = {"help": "as kairoscope's --model (default: builtin)"}
    options = arguments("constrained", __doc__, argv, model=model)
    spec = options.model or (smoke_model() if options.smoke else "builtin")
    clips = clips_for(2 if options.smoke else 20, 256, smoke=options.smoke)
    max_new_tokens = 16 if options.smoke else 256
    runs = measured(spec, clips, options.rounds, max_new_tokens, fresh=not options.smoke)
    write(result(runs, model_name(spec), len(clips), max_new_tokens), options)


if __name__ == "__main__":
    main(sys.argv[1:])
