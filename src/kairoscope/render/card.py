"""The data card: what a rendered training set holds, how it was made, and what was left out."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairoscope.data.labels import EventSample
from kairoscope.render.collect import Collection
from kairoscope.render.produce import Look

SHEET = "sample_sheet.png"
MOST_LISTED = 50
_HOW: Mapping[str | None, str] = {
    "recorded": "the file's own signals",
    "computed": "the simulator's predicates",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How a set was made, for its card."""

    look: Look
    versions: Mapping[str, str]
    """Program -> version."""
    sources: Sequence[tuple[Path, str, int, float]]
    """(file, environment, demonstrations taken, Hz of its states)."""
    holdout: float
    seed: int
    stamps: bool


def card(making: Making, found: Collection, problems: Sequence[tuple[str, str]]) -> str:
    """The card as Markdown.

    Args:
        making: how.
        found: the clips.
        problems: (demonstration, reason) of everything that gave no clip.
    """
    parts = [
        "# Rendered demonstrations",
        _summary(making, found, problems),
        "## Files",
        _table(
            ("file", "environment", "demonstrations", "states/s"),
            [(path.name, env, count, f"{fps:g}") for path, env, count, fps in making.sources],
        ),
        "## Clips and events",
        *_scenarios(found),
        "## Where the boundaries come from",
        *_origin(found),
        "## Split",
        *_split(making, found),
        "## Left out",
        *_left_out(problems, found),
        "## How it was made",
        _how(making),
    ]
    if found.samples:
        parts += ["## Samples", f"![a clip of every kind, at its boundaries]({SHEET})"]
    return "\n\n".join(parts) + "\n"


def _summary(making: Making, found: Collection, problems: Sequence[tuple[str, str]]) -> str:
    taken = sum(count for _, _, count, _ in making.sources)
    total_s = sum(row["duration_s"] for row in found.rows)
    look = making.look
    return (
        f"Clips: {len(found.rows)} of {taken} demonstrations, {len(found.samples)} of them labelled, "
        f"{len(problems)} rejected. {total_s / 60:.1f} minutes of video, {look.size_px} x "
        f"{look.size_px} pixels, {look.fps:g} frames/s, camera `{look.camera}`."
    )


def _scenarios(found: Collection) -> Iterator[str]:
    by: dict[str, list[EventSample]] = {}
    for sample in found.samples:
        by.setdefault(sample.scenario, []).append(sample)
    if not by:
        yield "No clip is labelled."
        return
    rows = []
    for name, samples in sorted(by.items()):
        seconds = [sample.duration_s or 0.0 for sample in samples]
        rows.append((name, len(samples), len({s.group for s in samples}), *_spread(seconds)))
    yield _table(("task", "clips", "groups", "shortest, s", "median, s", "longest, s"), rows)
    ends = []
    for name, samples in sorted(by.items()):
        for place, event in enumerate(samples[0].gold or ()):
            times = [s.gold[place].end_s for s in samples if s.gold and len(s.gold) > place]
            ends.append((name, event.name, len(times), *_spread(times)))
    yield _table(("task", "event", "clips", "earliest end, s", "median, s", "latest, s"), ends)


def _origin(found: Collection) -> Iterator[str]:
    counts = Counter(_HOW[row["by"]] for row in found.rows if row["events"] is not None)
    yield "; ".join(f"{how}: {count} clips" for how, count in sorted(counts.items())) or "None."
    compared = [row for row in found.rows if row["differences"]]
    if not compared:
        return
    frames = [abs(n) for row in compared for n in row["differences"].values()]
    same = sum(n == 0 for n in frames)
    yield (
        f"{len(compared)} clips have recorded signals and predicates that could be computed: "
        f"{same} of {len(frames)} boundaries agree to the frame, {sum(n <= 1 for n in frames)} to "
        f"one frame; the largest difference is {max(frames)} frames. The recorded ones are used."
    )
    far = [row for row in compared if max(map(abs, row["differences"].values())) > 1]
    if far:
        yield "More than a frame apart: " + _named([row["clip"] for row in far]) + "."


def _split(making: Making, found: Collection) -> Iterator[str]:
    yield (
        f"By source demonstration: {making.holdout:g} of those of every task for the test, chosen "
        f"by a hash (seed {making.seed}). Clips that share a source are on one side."
    )
    rows = []
    for name in sorted({sample.scenario for sample in found.samples}):
        cells: list[Any] = [name]
        for samples in found.sides.values():
            inside = [sample for sample in samples if sample.scenario == name]
            cells += [len(inside), len({sample.group for sample in inside})]
        rows.append(tuple(cells))
    if rows:
        yield _table(("task", "train clips", "groups", "test clips", "groups"), rows)
    if found.num_aside:
        yield (
            f"{found.num_aside} labelled clips are on neither side: they were put together from "
            "held-out and other sources."
        )
    whole = [row[0] for row in rows if row[3] == 0 and making.holdout]
    if whole:
        yield (
            f"Nothing of {', '.join(whole)} is in the test: their clips share source demonstrations "
            "throughout, or there is one group."
        )


def _left_out(problems: Sequence[tuple[str, str]], found: Collection) -> Iterator[str]:
    if problems:
        yield f"{len(problems)} demonstrations gave no clip (all of them in `problems.json`):"
        yield "\n".join(f"- {_cell(reason)}" for _, reason in problems[:MOST_LISTED])
    else:
        yield "Every demonstration gave a clip."
    bare = Counter(_reason(row["unlabelled"]) for row in found.rows if row["events"] is None)
    if bare:
        yield "Clips without labels:"
        yield "\n".join(f"- {count}: {_cell(reason)}" for reason, count in bare.most_common())


def _reason(text: str) -> str:
    """Without the demonstration that it was said of."""
    return text.rpartition(": nothing says")[2].strip() if ": nothing says" in text else text


def _how(making: Making) -> str:
    look = making.look
    stamped = " `clips_ts/` has the same with the time in every frame." if making.stamps else ""
    return (
        f"`kairoscope render` drew the recorded states with MuJoCo alone (quality `{look.quality}`). "
        "Frames between two states are interpolated; an event's end is the time of the first "
        "recorded state in which it is done, and its start the end of the event before, the "
        f"first 0. H.264, yuv420p.{stamped} "
        + ", ".join(f"{name} {version}" for name, version in sorted(making.versions.items()))
        + "."
    )


def _spread(values: Sequence[float]) -> tuple[str, str, str]:
    ordered = sorted(values)
    chosen = (ordered[0], ordered[len(ordered) // 2], ordered[-1])
    return f"{chosen[0]:.2f}", f"{chosen[1]:.2f}", f"{chosen[2]:.2f}"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(str(cell)) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
