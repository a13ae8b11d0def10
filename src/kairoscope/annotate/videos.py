"""Videos -> boundaries of the events that a task names, each with a confidence.

    clips.jsonl         one row a clip as soon as it is done: events, distributions, or the problem
    boundaries.jsonl    one row an event, written from it
    boundaries.csv      the same for spreadsheets

A clip that cannot be read is a row with its reason; it never ends the run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from kairoscope.annotate.sealed import mend, sealed
from kairoscope.annotate.shards import HASH, answered_elsewhere, put_in_order, take_in
from kairoscope.annotate.tables import Tally, write_boundaries
from kairoscope.core import (
    Completion,
    Decoding,
    Failed,
    FramePolicy,
    Model,
    Posterior,
    Request,
    Sampling,
    Task,
    Unparsed,
    UnreadableClip,
)
from kairoscope.data.clips import hash_clip
from kairoscope.events import Event, Query, aligned, nearest, starts_s
from kairoscope.posteriors import confidence, quantile_s
from kairoscope.runs import Run
from kairoscope.shards import Shard
from kairoscope.storage import file_state
from kairoscope.video.clip import frame_times

LOW_CONFIDENCE = 0.5
INTERVAL = (0.1, 0.9)
"""Quantiles of the reported interval: the boundary lies inside with probability 0.8."""


def annotate(
    model: Model,
    task: Task[Query, tuple[Event, ...]],
    clips: Sequence[tuple[str, Path]],
    query: Query,
    *,
    policy: FramePolicy,
    decoding: Decoding,
    run: Run,
    on_progress: Callable[[int, int], None] | None = None,
) -> Tally:
    """Find the events of `query` in every clip; clips already in the run are not asked again.

    Those whose files have been changed since are, as after a clip that could not be read was
    mended. Answers of shards below the run's folder are taken in.

    Starts never go back from one event to the next, and no event ends before it starts.

    Args:
        model: any engine.
        task: prompt, grammar and parser.
        clips: (name, path) of each; names are unique.
        query: event names in order.
        policy: frames that the model sees.
        decoding: `posterior` reports the medians of the distributions, also between the frames
            that the model saw; `constrained` the values it wrote, with the same confidences; `free`
            what it wrote, without confidences.
        run: where rows go.
        on_progress: called with (clips done, clips in all).
    """
    asking = _Asking(model, task, query, policy, decoding, on_progress)
    num_damaged = _settle(run, dict(clips))
    take_in(run, clips)
    done = {key[0] for key in run.done_keys("clips", ("clip",))}
    asking.ask(run, dict(clips), done)
    names = [name for name, _ in clips]
    put_in_order(run, names)
    tally = write_boundaries(run, names)
    return replace(tally, num_damaged=num_damaged)


def annotate_share(
    model: Model,
    task: Task[Query, tuple[Event, ...]],
    clips: Sequence[tuple[str, Path]],
    query: Query,
    *,
    shard: Shard,
    policy: FramePolicy,
    decoding: Decoding,
    run: Run,
    out: Path,
    on_progress: Callable[[int, int], None] | None = None,
) -> bool:
    """Answer one share of the clips in a run of its own; returns whether all shares are answered now.

    What another process has answered already, in the folder of all or in another shard, is left out.

    Args:
        model: as for `annotate`, as are `task`, `query`, `policy`, `decoding` and `on_progress`.
        clips: all of them.
        shard: which share.
        run: the shard's.
        out: folder of all.
    """
    asking = _Asking(model, task, query, policy, decoding, on_progress, keeps_hash=True)
    paths = dict(clips)
    share = {name: paths[name] for name in shard.takes([name for name, _ in clips])}
    _settle(run, share)
    done = {key[0] for key in run.done_keys("clips", ("clip",))}
    asking.ask(run, share, done | answered_elsewhere(out, share, run.path))
    return answered_elsewhere(out, paths) == paths.keys()


@dataclass(frozen=True, slots=True)
class _Asking:
    """How clips are asked about."""

    model: Model
    task: Task[Query, tuple[Event, ...]]
    query: Query
    policy: FramePolicy
    decoding: Decoding
    on_progress: Callable[[int, int], None] | None
    keeps_hash: bool = False
    """Rows say what the clip's bytes are, for those who see it under another path."""

    def ask(self, run: Run, clips: Mapping[str, Path], done: AbstractSet[str]) -> None:
        """Ask about every clip that is not `done`, and keep each answer as it comes."""
        paths = {name: path for name, path in clips.items() if name not in done}
        finished = len(clips) - len(paths)
        medians = self.decoding == "posterior"
        for name, answer in self.model.answer(self._requests(paths), Sampling(), self.decoding):
            path = paths[name]
            row = clip_row(self.task, self.query, name, path, answer, medians=medians)
            row["video"] = run.path_to(path)
            if self.keeps_hash:
                with suppress(UnreadableClip):
                    row[HASH] = hash_clip(path)
            run.append("clips", sealed(row))
            finished += 1
            if self.on_progress is not None:
                self.on_progress(finished, len(clips))

    def _requests(self, paths: Mapping[str, Path]) -> Iterator[Request]:
        for name, path in paths.items():
            yield Request(
                id=name,
                video=path,
                prompt=self.task.prompt(self.query),
                policy=self.policy,
                template=partial(self.task.template, self.query),
                query=self.query,
            )


def _settle(run: Run, clips: Mapping[str, Path]) -> int:
    """Take out rows that are damaged or about another file by now; returns how many were damaged."""
    num_damaged = mend(run, "clips")
    run.forget("clips", lambda row: _is_another(row, clips))
    return num_damaged


def _is_another(row: dict[str, Any], clips: Mapping[str, Path]) -> bool:
    """Whether there is another file under the name of a finished clip by now."""
    path = clips.get(row["clip"])
    return path is not None and row.get("file") != file_state(path)


def clip_row(
    task: Task[Query, tuple[Event, ...]],
    query: Query,
    name: str,
    path: Path,
    answer: tuple[Completion, ...] | Failed,
    *,
    medians: bool = True,
) -> dict[str, Any]:
    """What is kept of one clip; `medians` of the distributions take the place of what is written."""
    row: dict[str, Any] = {"clip": name, "events": [], "problem": None}
    row["file"] = file_state(path)
    if isinstance(answer, Failed):
        return row | {"problem": answer.reason}
    completion = answer[0]
    row |= {"text": completion.text, "seconds": completion.seconds}
    if completion.stored:
        row["stored"] = True
    try:
        times_s = frame_times(path)
    except UnreadableClip as error:
        return row | {"problem": str(error)}
    row |= {"duration_s": times_s[-1], "num_frames": len(times_s)}
    parsed = task.parse(query, completion.text)
    if isinstance(parsed, Unparsed):
        return row | {"problem": f"the answer could not be read: {parsed.reason}"}
    posteriors = {posterior.slot: posterior for posterior in completion.posteriors}
    row["events"] = _events(query, parsed, posteriors, times_s, medians=medians)
    row["posteriors"] = [
        {
            "slot": p.slot,
            "choices": p.choices,
            "probabilities": [round(x, 6) for x in p.probabilities],
        }
        for p in completion.posteriors
    ]
    return row


def _events(
    query: Query,
    parsed: Sequence[Event],
    posteriors: dict[str, Posterior],
    times_s: Sequence[float],
    *,
    medians: bool,
) -> list[dict[str, Any]]:
    """Rows of the events that were found, in order, on the clip's own frames."""
    places = aligned(parsed, query)
    starts = iter(starts_s([event for event in places if event is not None]))
    rows: list[dict[str, Any]] = []
    latest_s = 0.0
    for number, (event_name, event) in enumerate(zip(query, places, strict=True), 1):
        if event is None:
            continue
        of_start, of_end = (posteriors.get(f"{what} {number}") for what in ("start", "end"))
        start_s, end_s = next(starts), event.end_s
        if medians:
            start_s, end_s = _median_s(of_start, start_s), _median_s(of_end, end_s)
        start_s = max(latest_s, min(start_s, end_s))
        end_s = max(start_s, end_s)
        latest_s = start_s
        start_frame, end_frame = nearest(times_s, start_s), nearest(times_s, end_s)
        start_s, end_s = times_s[start_frame], times_s[end_frame]
        known = [
            confidence(_times(posterior), posterior.probabilities, moment_s)
            for posterior, moment_s in ((of_start, start_s), (of_end, end_s))
            if posterior is not None
        ]
        row = {
            "event": event_name,
            "start_s": round(start_s, 4),
            "end_s": round(end_s, 4),
            "start_frame": start_frame,
            "end_frame": end_frame,
            "confidence": round(min(known), 4) if known else None,
            "start_interval_s": _interval_s(of_start),
            "end_interval_s": _interval_s(of_end),
        }
        rows.append(row | {"flags": _flags(row, len(times_s))})
    return rows


def _times(posterior: Posterior) -> list[float]:
    return [float(choice) for choice in posterior.choices]


def _median_s(posterior: Posterior | None, written_s: float) -> float:
    """Median of a boundary's distribution, between frames too, or what was written."""
    if posterior is None:
        return written_s
    return quantile_s(_times(posterior), posterior.probabilities, 0.5)


def _interval_s(posterior: Posterior | None) -> list[float] | None:
    if posterior is None:
        return None
    times_s = _times(posterior)
    return [round(quantile_s(times_s, posterior.probabilities, share), 3) for share in INTERVAL]


def _flags(row: dict[str, Any], num_frames: int) -> list[str]:
    """Reasons for a person to look."""
    flags = []
    if row["confidence"] is not None and row["confidence"] < LOW_CONFIDENCE:
        flags.append("low confidence")
    if row["start_frame"] == row["end_frame"]:
        flags.append("no length")
    if row["end_frame"] == num_frames - 1:
        flags.append("ends with the clip")
    return flags
