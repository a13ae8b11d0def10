"""Laws of the store: nothing is asked twice, nothing that was asked otherwise is taken for the same."""

import dataclasses
import hashlib
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from kairoscope.core import (
    Answer,
    Completion,
    Decoding,
    Failed,
    FramePolicy,
    Posterior,
    Prompt,
    Request,
    Sampling,
    Slot,
    Template,
    UserError,
)
from kairoscope.store import AnswerStore, Stored, Traits
from kairoscope.store.database import Asker
from kairoscope.store.keys import template_digest
from kairoscope.store.packing import pack, unpack
from kairoscope.store.places import NAME, default_path, is_on_network

TIMES_S = tuple(i / 3 for i in range(40))
DRAWN = Sampling(trials=3, temperature=0.7, seed=2)


def template(times_s: Sequence[float]) -> Template:
    return ("ends at ", Slot(name="end 1", choices=tuple(f"{t:.2f}" for t in times_s)))


def chance(*words: object) -> float:
    digest = hashlib.sha256(repr(words).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


@dataclass
class Drawing:
    """Answers that depend on the clip's bytes, the seed and the trial; `batch` are drawn at a time."""

    batch: int = 3
    name: str = "drawing"
    identity: str = "sha256:1"
    asked: list[tuple[str, int]] = field(default_factory=list)

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        source = iter(requests)
        while waiting := list(islice(source, self.batch)):
            for request in reversed(waiting):
                yield request.id, self._one(request, sampling)

    def _one(self, request: Request, sampling: Sampling) -> tuple[Completion, ...] | Failed:
        trials = range(sampling.first_trial, sampling.first_trial + sampling.trials)
        self.asked += [(request.id, trial) for trial in trials]
        assert request.video is not None
        if not request.video.is_file():
            return Failed(reason="no such file")
        return tuple(self._completion(request, sampling, trial) for trial in trials)

    def _completion(self, request: Request, sampling: Sampling, trial: int) -> Completion:
        assert request.video is not None
        words = (request.video.read_bytes(), request.prompt, sampling.seed, trial)
        weights = [math.exp(5 * chance(*words, t)) for t in TIMES_S]
        slot = template(TIMES_S)[1]
        assert isinstance(slot, Slot)
        return Completion(
            text=f"ends at {chance(*words):.17f} ä",
            trial=trial,
            frame_times_s=TIMES_S,
            num_prompt_tokens=100,
            num_vision_tokens=64,
            num_new_tokens=7 + trial,
            seconds=chance(*words, "s"),
            finish="length" if trial % 2 else "stop",
            posteriors=(
                Posterior(
                    slot=slot.name,
                    choices=slot.choices,
                    probabilities=tuple(w / sum(weights) for w in weights),
                ),
            ),
        )


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    found = []
    for number in range(5):
        clip = tmp_path / f"clip {number}.mp4"
        clip.write_bytes(f"clip {number}".encode())
        found.append(clip)
    return found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AnswerStore]:
    with AnswerStore.open(tmp_path / "cache" / NAME) as store:
        yield store


def about(clip: Path, name: str | None = None) -> Request:
    return Request(
        id=name or clip.name,
        video=clip,
        prompt=Prompt(system="be brief", after="when?"),
        policy=FramePolicy(),
        template=template,
    )


def ask(
    model: Any,
    requests: Iterable[Request],
    sampling: Sampling = DRAWN,
    decoding: Decoding = "constrained",
) -> dict[str, tuple[Completion, ...] | Failed]:
    answers: dict[str, tuple[Completion, ...] | Failed] = {}
    for name, answer in model.answer(requests, sampling, decoding):
        assert name not in answers
        answers[name] = answer
    return answers


def fresh(answers: dict[str, tuple[Completion, ...] | Failed]) -> dict[str, Any]:
    """The same without the mark of being stored."""
    return {
        name: a if isinstance(a, Failed) else tuple(replace(c, stored=False) for c in a)
        for name, a in answers.items()
    }


def marks(answers: dict[str, tuple[Completion, ...] | Failed]) -> dict[str, list[bool]]:
    return {n: [c.stored for c in a] for n, a in answers.items() if not isinstance(a, Failed)}


def test_stored_answers_are_those_without_a_store_to_the_bit(
    clips: list[Path], store: AnswerStore
) -> None:
    expected = ask(Drawing(), map(about, clips))
    first, second = Stored(Drawing(), store), Stored(Drawing(), store)
    assert ask(first, map(about, clips)) == expected
    again = ask(second, map(about, clips))
    assert fresh(again) == expected
    assert marks(again) == {clip.name: [True] * 3 for clip in clips}
    assert not second.model.asked  # type: ignore[attr-defined]
    assert (first.count.asked, first.count.stored) == (15, 0)
    assert (second.count.asked, second.count.stored) == (0, 15)


def test_an_answer_survives_packing_to_the_bit(clips: list[Path]) -> None:
    answers = ask(Drawing(), map(about, clips))
    for answer in answers.values():
        assert not isinstance(answer, Failed)
        for completion in answer:
            again, digest = unpack(pack(completion, "x"))
            assert (replace(again, stored=False), digest) == (completion, "x")


def test_only_missing_trials_are_asked_for(clips: list[Path], store: AnswerStore) -> None:
    ten = replace(DRAWN, trials=10)
    expected = ask(Drawing(), map(about, clips), ten)
    ask(Stored(Drawing(), store), map(about, clips[:2]), replace(ten, trials=5))
    ask(Stored(Drawing(), store), map(about, clips[2:3]), replace(ten, trials=2, first_trial=4))
    model = Drawing()
    found = ask(Stored(model, store), map(about, clips), ten)
    assert fresh(found) == expected
    wanted = [(clip.name, t) for clip in clips[:2] for t in range(5, 10)]
    wanted += [(clips[2].name, t) for t in (0, 1, 2, 3, 6, 7, 8, 9)]
    wanted += [(clip.name, t) for clip in clips[3:] for t in range(10)]
    assert sorted(model.asked) == sorted(wanted)
    assert marks(found)[clips[0].name] == [True] * 5 + [False] * 5


CHANGES: dict[str, Any] = {
    "system": lambda r: replace(r, prompt=replace(r.prompt, system="be long")),
    "before": lambda r: replace(r, prompt=replace(r.prompt, before="look:")),
    "after": lambda r: replace(r, prompt=replace(r.prompt, after="where?")),
    "template": lambda r: replace(r, template=lambda times_s: ("at ", *template(times_s)[1:])),
    "late template": lambda r: replace(r, template=late_template),
}


def late_template(times_s: Sequence[float]) -> Template:
    """As `template`, but for clips of more than 20 frames."""
    return template(times_s) if len(times_s) <= 20 else ("later ", *template(times_s)[1:])


@pytest.mark.parametrize("name", CHANGES)
def test_another_question_is_not_answered_from_the_store(
    clips: list[Path], store: AnswerStore, name: str
) -> None:
    request = about(clips[0])
    ask(Stored(Drawing(), store), [request])
    model = Drawing()
    changed = ask(Stored(model, store), [CHANGES[name](request)])
    assert len(model.asked) == 3
    assert marks(changed) == {clips[0].name: [False] * 3}
    free = Drawing()
    ask(Stored(free, store), [request], decoding="free")
    assert len(free.asked) == 3
    for one in (request, CHANGES[name](request)):  # both are there now
        assert marks(ask(Stored(model, store), [one])) == {clips[0].name: [True] * 3}
    assert len(model.asked) == 3


@pytest.mark.parametrize("field_name", [f.name for f in dataclasses.fields(FramePolicy)])
def test_another_frame_policy_is_not_answered_from_the_store(
    clips: list[Path], store: AnswerStore, field_name: str
) -> None:
    request = about(clips[0])
    ask(Stored(Drawing(), store), [request])
    value = getattr(request.policy, field_name)
    other: Any = {"stamp": "none", "stamp_place": "band"}.get(field_name) or value + 1
    model = Drawing()
    policy = replace(request.policy, **{field_name: other})
    ask(Stored(model, store), [replace(request, policy=policy)])
    assert len(model.asked) == 3


@pytest.mark.parametrize(
    "changed",
    [{"temperature": 0.8}, {"top_p": 0.9}, {"max_new_tokens": 9}, {"seed": 3}, {"first_trial": 3}],
)
def test_other_sampling_is_not_answered_from_the_store(
    clips: list[Path], store: AnswerStore, changed: dict[str, Any]
) -> None:
    ask(Stored(Drawing(), store), [about(clips[0])])
    model = Drawing()
    ask(Stored(model, store), [about(clips[0])], replace(DRAWN, **changed))
    assert len(model.asked) == 3
    every = {f.name for f in dataclasses.fields(Sampling)} - {"trials"}
    assert every == {"temperature", "top_p", "max_new_tokens", "seed", "first_trial"}


def test_another_model_clip_decoding_or_version_is_not_answered_from_the_store(
    clips: list[Path], store: AnswerStore
) -> None:
    traits = Traits(computed_by={"torch": "1"})
    ask(Stored(Drawing(), store, traits=traits), [about(clips[0])])
    trained, updated, posterior = Drawing(identity="sha256:2"), Drawing(), Drawing()
    ask(Stored(trained, store, traits=traits), [about(clips[0])])
    ask(Stored(updated, store, traits=Traits(computed_by={"torch": "2"})), [about(clips[0])])
    ask(Stored(posterior, store, traits=traits), [about(clips[0])], decoding="posterior")
    other = Drawing()
    clips[0].write_bytes(b"another film")
    ask(Stored(other, store, traits=traits), [about(clips[0])])
    assert [len(m.asked) for m in (trained, updated, posterior, other)] == [3, 3, 3, 3]
    nameless = Drawing(identity="")
    for _ in range(2):
        ask(Stored(nameless, store), [about(clips[1])])
    assert len(nameless.asked) == 6


def test_a_clip_is_known_by_its_bytes_wherever_it_lies(
    clips: list[Path], store: AnswerStore, tmp_path: Path
) -> None:
    ask(Stored(Drawing(), store), [about(clips[0])])
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(clips[0].read_bytes())
    model = Drawing(name="the same under another name")
    assert marks(ask(Stored(model, store), [about(copy, "other")])) == {"other": [True] * 3}
    by_id = Traits(draws_by_id=True)
    ask(Stored(Drawing(), store, traits=by_id), [about(clips[0])])
    drawn, likeliest = Drawing(), Drawing()
    ask(Stored(drawn, store, traits=by_id), [about(copy, "other")])
    assert len(drawn.asked) == 3
    cold = replace(DRAWN, temperature=0.0)
    ask(Stored(Drawing(), store, traits=by_id), [about(clips[0])], cold)
    ask(Stored(likeliest, store, traits=by_id), [about(copy, "other")], cold)
    assert not likeliest.asked


def test_what_fails_is_asked_again(clips: list[Path], store: AnswerStore) -> None:
    content = clips[1].read_bytes()
    clips[1].unlink()
    found = ask(Stored(Drawing(), store), map(about, clips))
    assert isinstance(found[clips[1].name], Failed)
    clips[1].write_bytes(content)
    model = Drawing()
    assert fresh(ask(Stored(model, store), map(about, clips))) == ask(Drawing(), map(about, clips))
    assert model.asked == [(clips[1].name, trial) for trial in range(3)]


def test_a_clip_that_changes_under_the_model_is_not_kept(
    clips: list[Path], store: AnswerStore
) -> None:
    @dataclass
    class Disturbed(Drawing):
        def _one(self, request: Request, sampling: Sampling) -> tuple[Completion, ...] | Failed:
            assert request.video is not None
            request.video.write_bytes(b"written meanwhile")
            return super()._one(request, sampling)

    stored = Stored(Disturbed(), store)
    ask(stored, [about(clips[0])])
    assert stored.count.unkept == 3
    assert not store.summary()


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_the_same_question_twice_in_a_run_is_asked_once(
    clips: list[Path], store: AnswerStore, batch: int
) -> None:
    copies = [about(clips[0], f"copy {number}") for number in range(4)]
    requests = [copies[0], about(clips[1]), *copies[1:], about(clips[2])]
    model = Drawing(batch=batch)
    found = ask(Stored(model, store), requests)
    assert set(found) == {request.id for request in requests}
    assert len(model.asked) == 9
    assert fresh(found) == ask(Drawing(), requests)
    clips[3].unlink()
    gone = ask(Stored(model, store), [about(clips[3], "a"), about(clips[3], "b")])
    assert all(isinstance(answer, Failed) for answer in gone.values())


def test_nothing_is_drawn_far_ahead(clips: list[Path], store: AnswerStore) -> None:
    """The model's own lookahead decides, and what is stored is given at once."""
    ask(Stored(Drawing(), store), map(about, clips[:3]))
    drawn: list[str] = []

    def requests() -> Iterator[Request]:
        for clip in clips:
            drawn.append(clip.name)
            yield about(clip)

    answers = Stored(Drawing(batch=1), store).answer(requests(), DRAWN, "constrained")
    for number in range(1, 6):
        next(answers)
        assert len(drawn) == number


def test_a_damaged_row_is_asked_for_again(clips: list[Path], store: AnswerStore) -> None:
    expected = ask(Stored(Drawing(), store), map(about, clips))
    with sqlite3.connect(store.path) as db:
        body = bytearray(db.execute("SELECT body FROM answers WHERE trial = 1").fetchone()[0])
        body[len(body) // 2] ^= 1
        db.execute("UPDATE answers SET body = ? WHERE trial = 1 AND rowid < 5", (bytes(body),))
        # A whole row of another question in the place of this one.
        db.execute(
            "UPDATE answers SET (body, seal) = (SELECT body, seal FROM answers AS other WHERE "
            "other.trial = 2 AND other.rowid > 10) WHERE trial = 2 AND rowid < 5"
        )
    model = Drawing()
    assert fresh(ask(Stored(model, store), map(about, clips))) == expected
    assert sorted(trial for _, trial in model.asked) == [1, 2]
    assert store.num_damaged == 2
    last = Drawing()
    ask(Stored(last, store), map(about, clips))
    assert not last.asked


def test_a_damaged_file_is_moved_aside_and_named(clips: list[Path], tmp_path: Path) -> None:
    path = tmp_path / NAME
    with AnswerStore.open(path) as store:
        for number in range(40):
            ask(Stored(Drawing(identity=f"sha256:{number}"), store), map(about, clips))
    content = bytearray(path.read_bytes())
    for start in range(8192, len(content), 4096):
        content[start : start + 2048] = b"\xff" * 2048
    path.write_bytes(content)
    with AnswerStore.open(path) as store:
        model = Drawing(identity="sha256:0")
        expected = ask(Drawing(), map(about, clips))
        assert fresh(ask(Stored(model, store), map(about, clips))) == expected
        [note] = store.notes
        assert "is damaged" in note
        assert str(path) in note
        assert store.trouble is None
    [aside] = tmp_path.glob("*.damaged-*")
    assert aside.read_bytes() == content
    assert aside.name in note
    path.write_bytes(b"no database at all")
    with AnswerStore.open(path) as store:
        assert "is damaged" in store.notes[0]


def test_somebody_elses_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("dear diary")
    with pytest.raises(UserError, match="is no store of answers"):
        AnswerStore.open(notes)
    assert notes.read_text() == "dear diary"
    other = tmp_path / NAME
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE photos (name TEXT)")
    db.close()
    before = other.read_bytes()
    with pytest.raises(UserError, match="is no store of answers"):
        AnswerStore.open(other)
    assert other.read_bytes() == before
    with pytest.raises(UserError, match=r"cannot be used|no store"):
        AnswerStore.open(tmp_path)
    with pytest.raises(UserError, match="cannot be used"):
        AnswerStore.open(notes / "below" / NAME)


def test_a_newer_versions_file_is_left_alone(clips: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    AnswerStore.open(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA user_version = 2")
    db.close()
    before = path.read_bytes()
    for asked in (3, 0):
        with AnswerStore.open(path) as store:
            model = Drawing()
            ask(Stored(model, store), [about(clips[0])])
            assert len(model.asked) == asked
            assert "newer version" in store.notes[0]
            assert store.path.name == "answers.format-1.sqlite"
    assert path.read_bytes() == before


def test_trouble_with_the_disk_does_not_end_a_run(
    clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process holds the file for good: after the wait the run goes on without it."""
    monkeypatch.setattr("kairoscope.store.schema.BUSY_S", 0.05)
    with AnswerStore.open(tmp_path / NAME) as store:
        holder = sqlite3.connect(store.path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        stored = Stored(Drawing(), store)
        assert ask(stored, map(about, clips)) == ask(Drawing(), map(about, clips))
        assert store.trouble is not None
        assert "locked" in store.trouble
        assert stored.count.unkept == 15
        holder.close()


def test_what_was_not_paid_for_goes_first_when_room_is_short(
    clips: list[Path], tmp_path: Path
) -> None:
    with AnswerStore.open(tmp_path / NAME, cap_bytes=60_000) as store:
        many = replace(DRAWN, trials=40)
        for number, paid in enumerate((True, False, False)):
            model = Drawing(identity=f"sha256:{number}")
            ask(Stored(model, store, traits=Traits(is_paid=paid)), map(about, clips), many)
        before = {row["identity"]: row["answers"] for row in store.summary()}
        assert before == {f"sha256:{number}": 200 for number in range(3)}
        assert store.keep_to_cap() > 0
        after = {row["identity"]: row["answers"] for row in store.summary()}
        assert after["sha256:0"] == 200
        assert after.get("sha256:1", 0) + after.get("sha256:2", 0) < 400
        assert after.get("sha256:1", 0) <= after.get("sha256:2", 0)


def test_clearing_takes_what_it_is_told(clips: list[Path], store: AnswerStore) -> None:
    for number in range(2):
        model = Drawing(identity=f"sha256:{number}", name=f"model {number}")
        ask(Stored(model, store, task="when"), map(about, clips))
    rows = store.summary()
    assert {(r["model"], r["task"], r["answers"], r["questions"]) for r in rows} == {
        ("model 0", "when", 15, 5),
        ("model 1", "when", 15, 5),
    }
    assert store.clear(older_than_s=3600) == 0
    assert store.clear(model="nobody") == 0
    assert store.clear(model="model 0") == 15
    assert [row["model"] for row in store.summary()] == ["model 1"]
    assert store.clear(older_than_s=0) == 15
    assert store.summary() == []


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_store import DRAWN, Drawing, about
from kairoscope.store import AnswerStore, Stored
path, start, clips = Path(sys.argv[1]), int(sys.argv[2]), [Path(p) for p in sys.argv[3:]]
with AnswerStore.open(path) as store:
    for number in range(start, 10**9):
        model = Stored(Drawing(identity=f"sha256:{{number}}"), store)
        for _ in model.answer(map(about, clips), DRAWN, "constrained"):
            pass
        print(number, flush=True)
"""


def test_two_processes_write_and_are_killed(clips: list[Path], tmp_path: Path) -> None:
    """What a process said was done is there, whole, and nothing else is damaged."""
    path = tmp_path / NAME
    code = WRITER.format(here=str(Path(__file__).parent))
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), start, *map(str, clips[:3])],
            stdout=subprocess.PIPE,
            text=True,
        )
        for start in ("0", "1000000")
    ]
    said: list[list[int]] = [[], []]
    for lines, writer in zip(said, writers, strict=True):
        assert writer.stdout is not None
        lines += [int(writer.stdout.readline()) for _ in range(5)]
    for writer in writers:
        os.kill(writer.pid, signal.SIGKILL)
    for lines, writer in zip(said, writers, strict=True):
        assert writer.stdout is not None
        lines += [int(line) for line in writer.stdout if line.endswith("\n")]
        writer.stdout.close()
        writer.wait()
    with AnswerStore.open(path) as store:
        assert store.notes == ()
        for number in [*said[0], *said[1]]:
            model = Drawing(identity=f"sha256:{number}")
            found = ask(Stored(model, store), map(about, clips[:3]))
            assert not model.asked
            assert fresh(found) == ask(Drawing(), map(about, clips[:3]))
        assert store.num_damaged == 0
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()


def test_where_the_store_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KAIROSCOPE_STORE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_path() == tmp_path / ".cache" / "kairoscope" / NAME
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_path() == tmp_path / ".cache" / "kairoscope" / NAME
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    assert default_path() == tmp_path / "c" / "kairoscope" / NAME
    monkeypatch.setenv("KAIROSCOPE_STORE", str(tmp_path / "mine.sqlite"))
    assert default_path() == tmp_path / "mine.sqlite"
    monkeypatch.setenv("KAIROSCOPE_STORE", "off")
    assert default_path() is None
    assert not is_on_network(tmp_path)


def test_a_grammar_counts_only_where_it_is_followed(clips: list[Path]) -> None:
    request = about(clips[0])
    assert template_digest(request, TIMES_S, "free") is None
    assert template_digest(replace(request, template=None), TIMES_S, "posterior") is None
    assert template_digest(request, TIMES_S, "posterior") == template_digest(
        request, TIMES_S, "constrained"
    )


def test_a_name_that_is_no_text_can_be_kept_and_cleared(
    clips: list[Path], store: AnswerStore
) -> None:
    name = os.fsdecode(b"mod\xffel")
    ask(Stored(Drawing(name=name), store), [about(clips[0], os.fsdecode(b"cl\xffip"))])
    assert store.clear(model=name) == 3


def test_reading_and_writing_is_quick(clips: list[Path], store: AnswerStore) -> None:
    """Far below what the smallest model needs; `benchmarks/store.py` has the figures."""
    asker = Asker(model="m", identity="i", task="t")
    answer = ask(Drawing(), [about(clips[0])])[clips[0].name]
    assert not isinstance(answer, Failed)
    started = time.perf_counter()
    for number in range(200):
        store.put(b"%d" % number, [(completion, None) for completion in answer], asker)
        assert len(store.get(b"%d" % number, range(3))) == 3
    assert (time.perf_counter() - started) / 200 < 0.05
