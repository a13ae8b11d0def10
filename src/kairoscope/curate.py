"""From raw samples to training and held-out data, with a reason for everything left out.

Validate, filter, balance, split by group. Every step works on samples sorted by id, and chance is a
hash of seed and name: the order of files changes nothing, and a new clip moves no other one.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic

from kairoscope.core import Sample, UnreadableClip, UserError
from kairoscope.curation import AnySample, ClipFacts, Curation, Drop, Reason
from kairoscope.data.clips import hash_clip
from kairoscope.data.rows import Problem
from kairoscope.data.split import draw, split_by_group
from kairoscope.events import Events, starts_s, wrong_duration

Fault = tuple[Reason, str]

ROUNDING_S = 0.05
"""Labels written to 0.1 s may point half a step past the last frame."""


def decoded(video: Path) -> ClipFacts:
    """Decode every frame of a clip and describe it. Raises UnreadableClip with the time of a break."""
    from kairoscope.video.clip import scan
    from kairoscope.video.decode import decode_frames

    clip = scan(video)
    for _ in decode_frames(clip, clip.packets.shown):
        pass
    return clip.info


def event_fault(sample: Sample[Any, Any], clip: ClipFacts) -> Fault | None:
    """What is wrong with the times of a sample's events, given its real clip."""
    frame_s = clip.duration_s / max(1, clip.num_frames)
    previous_end_s = 0.0
    # Answers of other tasks say nothing about times.
    events: Events = sample.gold if isinstance(sample.gold, tuple) else ()
    for event, start_s in zip(events, starts_s(events), strict=True):
        if event.end_s > clip.duration_s + ROUNDING_S:
            end = f"{event.name!r} ends at {event.end_s:g} s, the clip at {clip.duration_s:.3f} s"
            return "outside the clip", end
        length_s = min(event.end_s - start_s, event.end_s - previous_end_s)
        if length_s < frame_s - 1e-6:
            short = f"{event.name!r} lasts {length_s:.3f} s, a frame {frame_s:.3f} s"
            return "too short", short
        previous_end_s = event.end_s
    return None


def curate(
    samples: Sequence[AnySample],
    *,
    problems: Sequence[Problem] = (),
    check_clip: Callable[[Path], ClipFacts] = decoded,
    check_label: Callable[[AnySample, ClipFacts], Fault | None] = event_fault,
    count_tokens: Callable[[AnySample, ClipFacts], int] | None = None,
    max_tokens: int | None = None,
    max_per_scenario: int | None = None,
    holdout: float = 0.1,
    seed: int = 0,
    on_clip: Callable[[str], None] | None = None,
) -> Curation[AnySample]:
    """Validate, filter, balance and split samples.

    Args:
        samples: with unique ids. Kept ones get the real `duration_s` of their clip.
        problems: rows that could not even be read; counted as drops.
        check_clip: describes a clip or raises UnreadableClip; by default every frame is decoded.
        check_label: what is wrong with a label, given the real clip.
        count_tokens: tokens of a sample in training, for `max_tokens`.
        max_tokens: a longer sample is dropped, never cut.
        max_per_scenario: a scenario with more samples keeps this many, chosen by the seed.
            Nothing is ever repeated to fill a scenario up.
        holdout: share of the groups that is held out, 0 to below 1; see `split_by_group`.
        seed: of the choice of held-out groups and of capped samples.
        on_clip: told the id of each sample once its clip has been looked at.

    Raises:
        UserError: ids are not unique, or a number is out of its range.
    """
    _check_settings([sample.id for sample in samples], holdout, max_per_scenario)

    def fault_of(sample: AnySample, clip: ClipFacts) -> Fault | None:
        fault = _fault(sample, clip, check_label)
        if fault is None and count_tokens and max_tokens is not None:
            return _length_fault(count_tokens(sample, clip), max_tokens)
        return fault

    unread = [
        Drop(sample_id=problem.where, reason="bad label", detail=problem.what)
        for problem in problems
        if not problem.is_used
    ]
    checked = _checked(samples, check_clip, fault_of, on_clip)
    unique, repeated = _without_repeats(checked.valid, checked.contents)
    kept, surplus = _capped(unique, max_per_scenario, seed)
    train, held_out = split_by_group(kept, holdout=holdout, seed=seed, same=checked.contents)
    ids = {sample.id for sample in kept}
    return Curation(
        n_in=len(samples) + len(unread),
        train=tuple(train),
        held_out=tuple(held_out),
        drops=(*unread, *checked.drops, *repeated, *surplus),
        remarks=tuple(str(problem) for problem in problems if problem.is_used),
        holdout=holdout,
        seed=seed,
        facts={key: fact for key, fact in checked.facts.items() if key in ids},
        hashes={key: digest for key, digest in checked.hashes.items() if key in ids},
    )


@dataclass(frozen=True, slots=True)
class _Checked(Generic[AnySample]):
    """Samples by themselves: valid ones in the order of their names, with what is known of their clips."""

    valid: list[AnySample] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    facts: dict[str, ClipFacts] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)


def _checked(
    samples: Sequence[AnySample],
    check_clip: Callable[[Path], ClipFacts],
    fault_of: Callable[[AnySample, ClipFacts], Fault | None],
    on_clip: Callable[[str], None] | None,
) -> _Checked[AnySample]:
    """Open every clip and judge every label against it."""
    seen: _Checked[AnySample] = _Checked()
    ordered = sorted(samples, key=lambda sample: sample.id)
    for sample, found in zip(ordered, _opened(ordered, check_clip), strict=True):
        if on_clip:
            on_clip(sample.id)
        if isinstance(found, UnreadableClip):
            seen.drops.append(_drop(sample, ("unreadable clip", str(found))))
            continue
        clip, digest, content = found
        fault = fault_of(sample, clip)
        if fault is not None:
            seen.drops.append(_drop(sample, fault))
            continue
        seen.facts[sample.id], seen.hashes[sample.id] = clip, digest
        seen.contents[sample.id] = content
        seen.valid.append(replace(sample, duration_s=clip.duration_s))
    return seen


def _opened(
    samples: Sequence[AnySample], check_clip: Callable[[Path], ClipFacts]
) -> Iterator[tuple[ClipFacts, str, str] | UnreadableClip]:
    """What is in each sample's clip, the hash of its bytes and of its content; several at a time."""

    def look(sample: AnySample) -> tuple[ClipFacts, str, str] | UnreadableClip:
        try:
            clip, digest = check_clip(sample.video), hash_clip(sample.video)
            return clip, digest, hash_content(sample.video) or digest
        except UnreadableClip as error:
            return error

    pool = ThreadPoolExecutor(os.cpu_count() or 2)
    try:
        yield from pool.map(look, samples)
    finally:
        pool.shutdown(cancel_futures=True)


def hash_content(video: Path) -> str | None:
    """A hash that copies of a clip share, whatever their container and name; None: it is no video."""
    from kairoscope.video.content import packet_hash

    return packet_hash(video)


def clip_hashes(samples: Iterable[Sample[Any, Any]]) -> dict[str, str]:
    """Sample id -> hash of what its clip shows; those whose clip cannot be read are left out."""
    hashes: dict[str, str] = {}
    for sample in samples:
        with suppress(UnreadableClip):
            hashes[sample.id] = hash_content(sample.video) or hash_clip(sample.video)
    return hashes


def check_apart(
    train: Sequence[Sample[Any, Any]], other: Sequence[Sample[Any, Any]], where: str
) -> None:
    """Refuse to judge on what is trained on.

    Args:
        train: samples to learn from.
        other: samples to judge on.
        where: both of them in words, to begin the message with.

    Raises:
        UserError: they share a group, or a clip under whatever names.
    """
    shared = {sample.group for sample in train} & {sample.group for sample in other}
    if shared:
        raise UserError(f"{where} share groups, such as {min(shared)!r}")
    known = {digest: sample_id for sample_id, digest in clip_hashes(train).items()}
    for sample_id, digest in clip_hashes(other).items():
        if digest in known:
            raise UserError(
                f"{where} share clips: {known[digest]!r} and {sample_id!r} show the same, picture for "
                "picture"
            )


def _check_settings(ids: Sequence[str], holdout: float, max_per_scenario: int | None) -> None:
    if not 0 <= holdout < 1:
        raise UserError(f"holdout is {holdout}; allowed: a share from 0 to below 1")
    if max_per_scenario is not None and max_per_scenario < 1:
        raise UserError(f"max_per_scenario is {max_per_scenario}; allowed: 1 or more")
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        raise UserError(f"sample {twice[0]!r} is there twice; allowed: unique ids")


def _drop(sample: Sample[Any, Any], fault: Fault) -> Drop:
    return Drop(sample_id=sample.id, reason=fault[0], detail=fault[1])


def _fault(
    sample: AnySample,
    clip: ClipFacts,
    check_label: Callable[[AnySample, ClipFacts], Fault | None],
) -> Fault | None:
    if sample.gold is None:
        return "no answer", "it has no gold answer"
    other = wrong_duration(sample.duration_s, clip.duration_s)
    return ("wrong duration", other) if other else check_label(sample, clip)


def _length_fault(num_tokens: int, max_tokens: int) -> Fault | None:
    return (
        ("too long", f"{num_tokens} tokens, allowed {max_tokens}")
        if num_tokens > max_tokens
        else None
    )


def _without_repeats(
    samples: Sequence[AnySample], hashes: Mapping[str, str]
) -> tuple[list[AnySample], list[Drop]]:
    """One of the samples that are equal; none of those that contradict each other."""
    alike: dict[tuple[str, Any], list[AnySample]] = defaultdict(list)
    for sample in samples:
        alike[hashes[sample.id], sample.query].append(sample)
    kept: list[AnySample] = []
    drops: list[Drop] = []
    for first, *others in alike.values():
        agree = all(other.gold == first.gold for other in others)
        reason: Reason = "duplicate" if agree else "conflict"
        what = "the same clip and answer as" if agree else "another answer about the same clip:"
        drops += [
            _drop(other, (reason, f"{what} {first.id}{_apart(other.gold, first.gold)}"))
            for other in others
        ]
        if agree:
            kept.append(first)
        else:
            other = next(other for other in others if other.gold != first.gold)
            apart = _apart(first.gold, other.gold)
            drops.append(_drop(first, (reason, f"{what} {other.id}{apart}")))
    return sorted(kept, key=lambda sample: sample.id), drops


def _apart(gold: Any, other: Any) -> str:
    """In what two answers differ, where that is said in few words: fields, or scores."""
    if gold == other:
        return ""
    if isinstance(gold, Mapping) and isinstance(other, Mapping):
        fields = sorted(key for key in {*gold, *other} if gold.get(key) != other.get(key))
        return f" ({', '.join(fields)})"
    return f" ({gold} here, {other} there)" if isinstance(gold, int) else ""


def _capped(
    samples: Sequence[AnySample], cap: int | None, seed: int
) -> tuple[list[AnySample], list[Drop]]:
    if cap is None:
        return list(samples), []
    by_scenario: dict[str, list[AnySample]] = defaultdict(list)
    for sample in samples:
        by_scenario[sample.scenario].append(sample)
    kept: list[AnySample] = []
    drops: list[Drop] = []
    for scenario, inside in by_scenario.items():
        drawn = sorted(inside, key=lambda sample: (draw(seed, sample.id), sample.id))
        kept += drawn[:cap]
        drops += [
            _drop(s, ("over the cap", f"{scenario}: {cap} of {len(inside)}")) for s in drawn[cap:]
        ]
    return sorted(kept, key=lambda sample: sample.id), drops
