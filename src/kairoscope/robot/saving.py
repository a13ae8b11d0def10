"""Boundaries into a copy of a dataset, in the form that the dataset's own tools read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from kairoscope.events import Events
from kairoscope.robot import isaaclab, mimicgen
from kairoscope.robot.episode import Dataset
from kairoscope.robot.naming import HDF5_FORMATS, SignalPlan
from kairoscope.robot.writing import Confidences, Maker
from kairoscope.storage import canonical_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Boundaries of one episode."""

    events: Events
    """In order; each ends at the time of its last frame."""
    end_frames: tuple[int, ...]
    """Last frame of each event: the first on which it is done."""
    confidences: tuple[float | None, ...] = ()
    """Of each event, 0 to 1; None for one that is labelled. Empty: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What became of the episodes that had boundaries."""

    path: Path
    """Of the file or folder that was written."""
    num_written: int
    """Episodes that have the boundaries now, whether or not they had them before."""
    problems: tuple[tuple[str, str], ...]
    """(episode, why its labels are as they were)."""
    notes: tuple[str, ...] = ()


class _How(TypedDict):
    in_place: bool
    overwrite: bool
    labelled_by: Maker
    confidences: Confidences


def copy_name(dataset: Dataset) -> str | None:
    """Name of the labelled copy in a run's folder; None where the format is not written."""
    if dataset.format in HDF5_FORMATS:
        return dataset.path.name
    return "dataset" if dataset.format.startswith("lerobot v") and not _is_v1(dataset) else None


def save_boundaries(
    dataset: Dataset,
    out: Path | None,
    found: Mapping[str, Found],
    *,
    plan: SignalPlan | None,
    in_place: bool = False,
    overwrite: bool = False,
    labelled_by: Maker = "kairoscope",
    link_videos: bool = True,
) -> Saved:
    """Write boundaries where the tools of the dataset's format read them.

    Args:
        dataset: opened; not changed unless `in_place`.
        out: file (HDF5) or folder (LeRobot) of the copy, gone on with where it exists; None with
            `in_place`.
        found: by episode; the others keep what they have.
        plan: signals of an HDF5 file; None for LeRobot.
        in_place: change the dataset itself, each file whole or not at all.
        overwrite: also replace labels that Kairoscope did not make.
        labelled_by: who made the boundaries.
        link_videos: LeRobot's into a copy, as hard links where the disk can.

    Raises UserError where the format is not written, or nothing can be written at all; what is
    wrong with one episode is in what is returned.
    """
    if plan is None:
        from kairoscope.robot.lerobot import write_lerobot  # loads pyarrow

        done = write_lerobot(
            dataset.path,
            out,
            {name: one.events for name, one in found.items()},
            labelled_by=labelled_by,
            overwrite=overwrite,
            in_place=in_place,
            fps=getattr(dataset, "given_fps", None),
            link_videos=link_videos,
        )
        if labelled_by == "kairoscope":
            _write_confidences(
                done.path, {name: found[name] for name in done.written if name in found}
            )
        kept = [(name, "has labels that Kairoscope did not make: kept") for name in done.protected]
        offered = [problem for problem in done.problems if problem[0] in found]
        return Saved(
            path=done.path,
            num_written=len(done.written),
            problems=(*kept, *offered),
            notes=done.notes,
        )
    ends = {name: _ends(one, plan) for name, one in found.items()}
    how: _How = {
        "in_place": in_place,
        "overwrite": overwrite,
        "labelled_by": labelled_by,
        "confidences": {name: _confidences(one, plan) for name, one in found.items()},
    }
    if dataset.format == "mimicgen":
        report = mimicgen.write_signals(dataset.path, out, ends, spec=plan.spec, **how)
    else:
        report = isaaclab.write_signals(dataset.path, out, ends, spec=plan.specs, **how)
    return Saved(
        path=dataset.path if out is None else out,
        num_written=len(report.written) + len(report.unchanged),
        problems=report.problems,
        notes=report.notes,
    )


def _write_confidences(dataset: Path, found: Mapping[str, Found]) -> None:
    """How sure each label of Kairoscope's is: LeRobot has no place for it, so beside the labels."""
    from kairoscope.robot.lerobot.files import write_text  # loads pyarrow
    from kairoscope.robot.lerobot.labels import CONFIDENCES

    rows = (
        {
            "episode": name,
            "subtask_names": [event.name for event in one.events],
            "confidences": list(one.confidences),
        }
        for name, one in sorted(found.items())
        if any(confidence is not None for confidence in one.confidences)
    )
    text = "".join(canonical_json(row) + "\n" for row in rows)
    if text or (dataset / CONFIDENCES).exists():
        write_text(dataset / CONFIDENCES, text)


def _is_v1(dataset: Dataset) -> bool:
    return dataset.format.startswith("lerobot v1")


def _ends(found: Found, plan: SignalPlan) -> dict[str, int]:
    """Signal -> exclusive end in frames."""
    return {
        plan.signals[event.name]: frame + 1
        for event, frame in zip(found.events, found.end_frames, strict=True)
        if event.name in plan.signals
    }


def _confidences(found: Found, plan: SignalPlan) -> dict[str, float]:
    """Signal -> how sure its end is, where that is known."""
    return {
        plan.signals[event.name]: sure
        for event, sure in zip(found.events, found.confidences, strict=False)
        if event.name in plan.signals and sure is not None
    }
