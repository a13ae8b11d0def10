"""The model's answers about the episodes that signals do not decide, kept in `answers.jsonl`."""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from kairoscope.annotate.clips import FOLDER, clip_of, view_of
from kairoscope.annotate.evidence import KEY
from kairoscope.annotate.gathered import ANSWERS, Gathered, is_open
from kairoscope.annotate.sealed import mend, sealed
from kairoscope.annotate.shards import HASH, answer_about, shard_rows
from kairoscope.annotate.videos import clip_row
from kairoscope.core import (
    Decoding,
    FramePolicy,
    Model,
    Request,
    Sampling,
    Task,
    UnreadableClip,
    UserError,
)
from kairoscope.data.clips import hash_clip
from kairoscope.events import Event, Query
from kairoscope.json_lines import LineIndex
from kairoscope.storage import file_state

OnProgress = Callable[[str, int, int], None]
"""(what, done, of how many)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A model, and how it is asked about the episodes that signals do not decide."""

    model: Model
    task: Task[Query, tuple[Event, ...]]
    policy: FramePolicy
    decoding: Decoding
    camera: str | None = None
    """None: the first that does not move with a hand."""


@dataclass(slots=True)
class Answering:
    """One pass over the episodes about which a model is asked."""

    gathered: Gathered
    asking: Asking
    on_progress: OnProgress
    clips: dict[str, Path] = field(default_factory=dict)
    """Episode -> the video that the model sees."""
    num_wanted: int = 0
    num_asked: int = 0
    num_damaged: int = 0
    """Answers that were not as they were written, and so were asked for again."""
    only: AbstractSet[str] | None = None
    """Episodes of one share; None: all."""
    folder: Path | None = None
    """Where clips are made; None: in the run's folder."""
    keeps_hash: bool = False
    """Answers say what the clip's bytes are, for those who see it under another path."""
    _digests: dict[str, str] = field(default_factory=dict)
    _states: dict[str, Any] = field(default_factory=dict)
    _shards: list[LineIndex] = field(default_factory=list)

    def ask(self, labelled: AbstractSet[str]) -> None:
        """Ask about every episode with an open event, and then about these labelled ones, too."""
        wanted = self.wanted(labelled)
        self.num_wanted = len(wanted if self.only is None else wanted & self.only)
        if not self.num_wanted:
            return
        run, asking = self.gathered.run, self.asking
        self._shards = shard_rows(run.path, ANSWERS)
        self.num_damaged = mend(run, ANSWERS)
        self._states = {
            r["clip"]: (r["file"] or r["problem"], r["digest"]) for r in run.rows(ANSWERS, KEY)
        }
        for name, answer in asking.model.answer(
            self._requests(labelled), Sampling(), asking.decoding
        ):
            row = clip_row(
                asking.task,
                self.gathered.query,
                name,
                self.clips[name],
                answer,
                medians=asking.decoding == "posterior",
            )
            if self.keeps_hash:
                with suppress(UnreadableClip):
                    row[HASH] = hash_clip(self.clips[name])
            self._keep({**row, "digest": self._digests[name]})
            self._count()

    def wanted(self, labelled: AbstractSet[str]) -> set[str]:
        """Episodes to ask about: those with an open event and, where there are any, these labelled ones."""
        rows = self.gathered.rows()
        found = {row["clip"] for row in rows if is_open(row)}
        return found | labelled if found else found

    def _requests(self, labelled: AbstractSet[str]) -> Iterator[Request]:
        for row in self.gathered.rows():
            name = row["clip"]
            if not (is_open(row) or name in labelled):
                continue
            if self.only is not None and name not in self.only:
                continue
            self._digests[name] = row["digest"]
            clip = self._clip(row)
            state = clip if isinstance(clip, str) else file_state(clip)
            if self._states.get(name) == (state, row["digest"]):
                self._count()
            elif isinstance(clip, str):
                self._keep(_unseen(row, clip))
                self._count()
            elif (answer := self._from_shards(row, clip)) is not None:
                self._keep(answer)
                self._count()
            else:
                yield Request(
                    id=name,
                    video=clip,
                    prompt=self.asking.task.prompt(self.gathered.query),
                    policy=self.asking.policy,
                    template=partial(self.asking.task.template, self.gathered.query),
                    query=self.gathered.query,
                )

    def _from_shards(self, row: Mapping[str, Any], clip: Path) -> dict[str, Any] | None:
        """The answer of a shard about the same recording, seen in the same clip."""
        for index in self._shards:
            found = answer_about(index, row["clip"], clip)
            if found is not None and found["digest"] == row["digest"]:
                return found
        return None

    def _clip(self, row: Mapping[str, Any]) -> Path | str:
        """The video that the model sees, or why there is none."""
        try:
            view = view_of(row, self.asking.camera)
            if view is None:
                return "it has no video"
            folder = self.folder or self.gathered.run.path / FOLDER
            self.clips[row["clip"]] = clip_of(self.gathered.dataset, row, view, folder)
        except (UnreadableClip, UserError) as error:
            return str(error)
        return self.clips[row["clip"]]

    def _keep(self, row: Mapping[str, Any]) -> None:
        """Put an answer in the place of an earlier one about the same episode."""
        run, name = self.gathered.run, row["clip"]
        if name in self._states:
            run.forget(ANSWERS, lambda old: bool(old["clip"] == name))
        run.append(ANSWERS, sealed(row))

    def _count(self) -> None:
        self.num_asked += 1
        self.on_progress("asking the model", self.num_asked, self.num_wanted)


def _unseen(row: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """In the place of an answer about an episode that cannot be seen."""
    return {
        "clip": row["clip"],
        "digest": row["digest"],
        "file": None,
        "events": [],
        "posteriors": [],
        "problem": reason,
    }
