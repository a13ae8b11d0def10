"""From tables of labels and folders of clips to a training and a test set. Pure but for the clips.

Rows are matched to clips by name, labels are checked, and everything that does not fit is counted and
listed. Clips that were made from one prompt, and copies of a clip, stay on one side of the split.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from kairoscope.core import UserError
from kairoscope.data.rows import Problem, show
from kairoscope.data.scores import ScoreSample
from kairoscope.data.sheets import Fault, Sheet, column_of
from kairoscope.data.split import draw
from kairoscope.scale import HIGHEST, LOWEST, SCORES

LINKS = ("output_link", "video_url", "videopath", "video", "url")
LABELS = ("Physical common sense", "pc", "score")
CAPTIONS = ("caption", "prompt")
PROMPT_SUFFIX = "_prompt"
ROUNDS = 10
"""How often every group is looked at when a set is split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One usable row."""

    where: str
    link: str
    score: int
    caption: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of a table are read; None takes the usual names."""

    link: str | None = None
    score: str | None = None
    caption: str | None = None


def labelled_rows(
    sheet: Sheet, file: Path, columns: Columns, *, scale_labels: bool
) -> tuple[list[Labelled], list[Problem]]:
    """The rows that have a link and a score, and what is wrong with the others.

    With `scale_labels`, labels from 0 to 1 become scores from 1 to 5.

    Raises:
        UserError: a column is missing, or all labels are 0 or 1 and they are not to be scaled: read as
            they are, the good ones would be the worst.
    """
    link = column_of(sheet, [columns.link] if columns.link else LINKS, "the clip", file)
    score = column_of(sheet, [columns.score] if columns.score else LABELS, "the score", file)
    caption = _caption_column(sheet, columns, file)
    if not scale_labels:
        _check_scale(sheet, score, file)
    rows: list[Labelled] = []
    problems = list(sheet.problems)
    for row in sheet.rows:
        try:
            said = row.cells.get(caption) if caption else None
            rows.append(
                Labelled(
                    where=row.where,
                    link=_link(row.cells[link], link),
                    score=_score(row.cells[score], score, scale_labels=scale_labels),
                    caption=said.strip() if isinstance(said, str) else None,
                )
            )
        except UserError as error:
            problems.append(Problem(where=row.where, what=str(error)))
    return rows, problems


def _caption_column(sheet: Sheet, columns: Columns, file: Path) -> str | None:
    if columns.caption:
        return column_of(sheet, [columns.caption], "the caption", file)
    found = [name for name in sheet.columns if name.lower() in CAPTIONS]
    return found[0] if len(found) == 1 else None


def _check_scale(sheet: Sheet, column: str, file: Path) -> None:
    known = {number for row in sheet.rows if (number := _number(row.cells[column])) is not None}
    if known and known <= {0.0, 1.0}:
        raise UserError(
            f"{file}: all labels in {column!r} are 0 or 1; --scale-labels makes them scores 1 and 5"
        )


def _link(cell: Any, column: str) -> str:
    if isinstance(cell, Fault):
        raise UserError(f"{column} is {cell.what}; write the link itself")
    if not isinstance(cell, str):
        raise UserError(f"{column} is {show(str(cell)) if cell is not None else 'empty'}")
    return cell


def _number(cell: Any) -> float | None:
    if isinstance(cell, bool | Fault) or not isinstance(cell, int | float | str):
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def _score(cell: Any, column: str, *, scale_labels: bool) -> int:
    if isinstance(cell, Fault):
        raise UserError(f"{column} is {cell.what}; write the value itself")
    number = _number(cell)
    allowed = "0 to 1, in quarters" if scale_labels else f"whole, {LOWEST} to {HIGHEST}"
    value = number
    if value is not None and scale_labels:
        value = LOWEST + (HIGHEST - LOWEST) * value if 0 <= value <= 1 else None
    if value is None or value not in SCORES:
        shown = "empty" if cell is None else show(cell if number is None else number)
        raise UserError(f"{column} is {shown}; allowed: {allowed}")
    return int(value)


def matched(
    rows: Sequence[Labelled], videos: Sequence[Path]
) -> tuple[list[tuple[Labelled, Path]], list[Problem]]:
    """Rows with their clips: the clip whose file name ends the row's link, else whose stem does.

    Listed: rows without a clip, clips without a row, rows that fit several clips, a clip's second
    row where it says the same, and all its rows where they contradict each other.
    """
    by_name: dict[str, list[Path]] = defaultdict(list)
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for video in videos:
        by_name[video.name].append(video)
        by_stem[video.stem].append(video)
    problems: list[Problem] = []
    pairs: dict[Path, list[Labelled]] = defaultdict(list)
    for row in rows:
        name = file_name(row.link)
        found = by_name.get(name) or by_stem.get(name.rsplit(".", 1)[0], [])
        if len(found) == 1:
            pairs[found[0]].append(row)
        else:
            what = f"fits {len(found)} clips" if found else "has no clip"
            problems.append(Problem(where=row.where, what=f"{show(row.link)} {what}"))
    good: list[tuple[Labelled, Path]] = []
    for video, said in pairs.items():
        first = said[0]
        if len({row.score for row in said}) > 1:
            what = f"{video.name} has several scores: {', '.join(str(row.score) for row in said)}"
            problems += [Problem(where=row.where, what=what) for row in said]
            continue
        good.append((first, video))
        what = f"{video.name} is already in {first.where}"
        problems += [Problem(where=row.where, what=what) for row in said[1:]]
    named = set(pairs)
    problems += [
        Problem(where=str(video), what="a clip without a row")
        for video in videos
        if video not in named
    ]
    return good, problems


def file_name(link: str) -> str:
    """The last part of a path or URL, unquoted."""
    parts = urlsplit(link)
    path = unquote(parts.path) if parts.scheme in ("http", "https") else link
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def prompts_in(folder: Path, videos: Sequence[Path]) -> tuple[dict[Path, str], list[Problem]]:
    """Clip -> its prompt, from `<stem>_prompt.txt` or `<stem>.txt`; and files that fit no clip."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of prompts")
    files = {file.stem: file for file in sorted(folder.glob("*.txt"))}
    found: dict[Path, str] = {}
    problems: list[Problem] = []
    for video in videos:
        file = files.pop(video.stem + PROMPT_SUFFIX, None) or files.pop(video.stem, None)
        try:
            text = "" if file is None else file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem(where=str(file), what=f"cannot be read: {error}"))
            continue
        if text:
            found[video] = text
        elif file is not None:
            problems.append(Problem(where=str(file), what="an empty prompt"))
    problems += [
        Problem(where=str(file), what="a prompt without a clip") for file in files.values()
    ]
    return found, problems


def split_stratified(
    samples: Sequence[ScoreSample],
    *,
    share: float,
    seed: int,
    same: Mapping[str, str] | None = None,
) -> tuple[list[ScoreSample], list[ScoreSample]]:
    """(training, test), each sorted by id: scores in the same shares on both sides, no group on both.

    Groups come in an order of the seed's, large ones first; each changes sides as long as that brings
    the test's scores nearer to `share` of all. At least one group is on either side where there are two.

    Args:
        samples: with scores.
        share: of the test, 0 to below 1.
        seed: of the order.
        same: id -> what a clip shares with its copies: those are of one group.

    Raises:
        UserError: the share is out of range.
    """
    if not 0 <= share < 1:
        raise UserError(f"--eval-size {share}; allowed: 0 to below 1")
    group_of = _joined(samples, same or {})
    groups: dict[str, Counter[int]] = defaultdict(Counter)
    for sample in samples:
        groups[group_of[sample.id]][int(sample.gold or 0)] += 1
    counts = Counter(int(sample.gold or 0) for sample in samples)
    wanted = {score: share * counts[score] for score in sorted(counts)}
    test = _nearest(groups, wanted, seed)
    if share and not test and len(groups) > 1:
        test.add(min(groups, key=lambda g: (groups[g].total(), draw(seed, g), g)))
    ordered = sorted(samples, key=lambda sample: sample.id)
    return (
        [s for s in ordered if group_of[s.id] not in test],
        [s for s in ordered if group_of[s.id] in test],
    )


def _nearest(
    groups: Mapping[str, Counter[int]], wanted: Mapping[int, float], seed: int
) -> set[str]:
    """Groups whose scores together come near to the wanted numbers of each."""
    order = sorted(groups, key=lambda name: (-groups[name].total(), draw(seed, name), name))
    taken = dict.fromkeys(wanted, 0)
    test: set[str] = set()

    def miss(change: Mapping[int, int], sign: int) -> float:
        return sum((wanted[s] - taken[s] - sign * change.get(s, 0)) ** 2 for s in wanted)

    for _ in range(ROUNDS):
        changed = False
        for name in order:
            sign = -1 if name in test else 1
            if miss(groups[name], sign) >= miss({}, 0) or (
                sign > 0 and len(test) >= len(groups) - 1
            ):
                continue
            test ^= {name}
            for score, count in groups[name].items():
                taken[score] += sign * count
            changed = True
        if not changed:
            break
    return test


def _joined(samples: Sequence[ScoreSample], same: Mapping[str, str]) -> dict[str, str]:
    """Sample id -> its group, joined with all that share something with it."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for sample in samples:
        group = f"group {sample.group}"
        if sample.id in same:
            first, second = sorted((root(group), root(f"same {same[sample.id]}")))
            parent[second] = first
    return {sample.id: root(f"group {sample.group}") for sample in samples}


def balanced(
    samples: Sequence[ScoreSample], seed: int
) -> tuple[list[ScoreSample], list[ScoreSample]]:
    """(kept, left out): every score as often as the rarest, chosen by the seed; each sorted by id."""
    by_score: dict[int, list[ScoreSample]] = defaultdict(list)
    for sample in samples:
        by_score[int(sample.gold or 0)].append(sample)
    least = min((len(found) for found in by_score.values()), default=0)
    kept: list[ScoreSample] = []
    for found in by_score.values():
        kept += sorted(found, key=lambda s: (draw(seed, s.id), s.id))[:least]
    ids = {sample.id for sample in kept}
    out = [sample for sample in samples if sample.id not in ids]
    return sorted(kept, key=lambda s: s.id), sorted(out, key=lambda s: s.id)
