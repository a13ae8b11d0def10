"""A judge's run from the first question to the page: an honest judge is told from others, nothing is asked
twice, nothing is sent that was not named."""

import json
import os
import random
import re
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from caption_runs import make_run, make_samples
from command_line import Program
from html_checks import Page
from overlap_judge import honest, judging, overlap_score, questions_of, texts_of
from small_server import NAME, Small, serving

from kairoscope.core import UserError
from kairoscope.judge.questions import SYSTEM
from kairoscope.models.embedding import TextEmbedder
from kairoscope.models.server import http
from kairoscope.models.server.engine import ServedModel
from kairoscope.models.server.options import ServerOptions
from kairoscope.recipes.judging import JudgeConfig, disclosure, judge_stage, read_judged
from kairoscope.recipes.pages import write_page
from kairoscope.runs import Run
from kairoscope.storage import plain

FIELDS = ("description", "manoeuvre")
CONFIG = JudgeConfig(repeats=2, controls=6)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty drives; one clip is unreadable, about another nonsense was written."""
    folder = tmp_path_factory.mktemp("judged")
    make_run(folder / "run", make_samples(folder / "clips", 20), 0.7)
    return folder / "run"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "FIRST_WAIT_S", 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def judge(
    small: Small, run: Path, out: Path, config: JudgeConfig = CONFIG, human: Path | None = None
) -> dict[str, Any]:
    with serving(small):
        model = ServedModel(NAME, ServerOptions(base_url=small.url, attempts=2))
        judged = read_judged(run, FIELDS)
        return judge_stage(judged, model, config, out=out, human=human, on_progress=lambda *_: None)


def test_an_honest_judge_is_trusted_and_its_scores_are_those_it_gave(
    run: Path, tmp_path: Path
) -> None:
    small = judging(honest)
    found = judge(small, run, tmp_path / "out")
    rows = Run.read(tmp_path / "out").records("judgements", ("id", "repeat"))
    answered = [row for row in rows if not row.get("missing")]
    assert all(row["score"] == overlap_score(row["first"], row["second"]) for row in answered)
    # One question, one request; two repeats in it.
    assert len(questions_of(small)) == len({row["id"] for row in answered}) == len(answered) / 2
    assert found["verdict"] == "trusted", found["doubts"]
    for own in found["fields"].values():
        assert own["controls"]["same"]["mean"] == 5
        assert own["controls"]["swapped"]["mean_change"] == 0
        assert own["alpha"] == pytest.approx(1)
        # Two clips of twenty have no answer.
        assert (own["n_clips"], own["n_missing"], own["n_failed"]) == (20, 4, 0)
    clips: dict[str, list[int]] = {}
    for row in rows:
        if row["control"] == "answer" and row["field"] == "manoeuvre":
            clips.setdefault(row["sample_id"], []).append(row["score"] or 1)
    mean = sum(sum(scores) / len(scores) for scores in clips.values()) / len(clips)
    assert found["fields"]["manoeuvre"]["mean"] == pytest.approx(mean)


BAD = {
    "always 4": (lambda *_: 4, "themselves 4.00"),
    "likes order": (lambda a, b, _: 5 if a == b else 4 if a < b else 1, "change places"),
    "cannot decide": (lambda a, b, i: random.Random(f"{a}{b}{i}").randint(1, 5), "agree little"),
    "breaks down": (
        lambda a, b, i: "I'd rather not" if len(a) > 60 else 5,
        "failed and count as 1",
    ),
    "generous": (lambda a, b, i: max(4, overlap_score(a, b)), "another clip 4"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_judge_that_cannot_be_trusted_is_said_to_be_so(
    run: Path, tmp_path: Path, kind: str
) -> None:
    score, words = BAD[kind]
    config = replace(CONFIG, decoding="free", controls=20)
    found = judge(judging(score), run, tmp_path / "out", config)
    assert found["verdict"] == "not trusted"
    told = found["verdicts"]["description"]
    assert told.startswith("This judge cannot be trusted for description")
    assert words in told


def test_failures_count_as_the_lowest_score(run: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, decoding="free")
    found = judge(judging(lambda *_: "no"), run, tmp_path / "out", config)
    assert found["all"]["mean"] == 1.0
    assert found["all"]["n_failed"] == found["all"]["n_asked"] > 0
    assert found["all"]["alpha"] is None


def test_nothing_is_sent_but_the_named_fields(run: Path, tmp_path: Path) -> None:
    small = judging(honest)
    judge(small, run, tmp_path / "out")
    judged = read_judged(run, FIELDS)
    own = {json.dumps(q.first) for q in judged.questions(CONFIG)}
    own |= {json.dumps(q.second) for q in judged.questions(CONFIG)}
    for body in questions_of(small):
        system, user = (message["content"] for message in body["messages"])
        assert system == SYSTEM
        assert {json.dumps(text) for text in texts_of(body)} <= own
        question = user.split("\n\n")[0].removeprefix("Question: ")
        assert question in {judged.schema.field(name).question for name in FIELDS}
        assert len(user) < 40 + len(question) + sum(map(len, map(json.dumps, texts_of(body)))) + 40
        assert "mp4" not in json.dumps(body)
    told = disclosure(judged, judged.questions(CONFIG), CONFIG, "judge.example:443")
    count = len(questions_of(small))
    assert told.startswith(f"{count} questions, 2 answers each, sent to judge.example:443: ")
    assert "of 2 fields (manoeuvre, description)" in told
    with pytest.raises(UserError, match=r"--fields: name what may be shown.*manoeuvre"):
        read_judged(run, [])
    with pytest.raises(
        UserError, match=r"--fields speed: .* has none; allowed: texts, all, weather"
    ):
        read_judged(run, ["description,speed"])
    assert read_judged(run, ["texts"]).fields == ("description",)
    assert len(read_judged(run, ["all"]).fields) == 11


def test_people_may_be_added_later_and_nothing_is_asked_again(run: Path, tmp_path: Path) -> None:
    small = judging(honest)
    judge(small, run, tmp_path / "out")
    human = tmp_path / "people.jsonl"
    rows = Run.read(tmp_path / "out").records("judgements", ("id", "repeat"))
    given = [r for r in rows if r["control"] == "answer" and r["repeat"] == 0 and r["score"]]
    human.write_text(
        "\n".join(json.dumps({k: r[k] for k in ("sample_id", "field", "score")}) for r in given)
    )
    again = judging(honest)
    found = judge(again, run, tmp_path / "out", human=human)
    assert not again.others
    beside = found["human"]["all"]
    assert (beside["n_answers"], beside["bias"], beside["within_one"]) == (len(given), 0, 1)
    assert beside["spearman"] == pytest.approx(1)
    human.write_text('{"sample_id": "nobody", "field": "manoeuvre", "score": 3}\n')
    with pytest.raises(UserError, match="not one score fits"):
        judge(again, run, tmp_path / "out", human=human)
    page = Page(write_page(tmp_path / "out").read_text("utf-8"))
    assert "can be trusted" in "".join(page.text)


def test_the_page_has_every_pair_with_its_score_and_reason(run: Path, tmp_path: Path) -> None:
    found = judge(judging(honest), run, tmp_path / "out")
    page = Page(write_page(tmp_path / "out").read_text("utf-8"))
    for number in (found["all"]["mean"], found["fields"]["manoeuvre"]["mean"]):
        assert number in page.numbers
    data = json.loads("".join(page.json))
    assert len(data["clips"]) == 2 * 20
    pairs = sum(len(clip["rows"]) for clip in data["clips"])
    rows = Run.read(tmp_path / "out").records("judgements", ("id", "repeat"))
    assert pairs == len({row["id"] for row in rows})
    assert any("by words" in why for clip in data["clips"] for why in clip.get("reasons", ()))
    assert data["scenarios"] == ["description", "manoeuvre"]
    assert {clip["video"] for clip in data["clips"] if clip["id"] == "1"} == {
        "../../" + os.path.relpath(run.parent / "clips/1.camera_front.mp4", tmp_path.parent)
    }
    assert "</b>" not in "".join(page.json)


# --- the command, killed and run again ----------------------------------------------------------


def words(url: str, run: Path, out: Path, *more: str) -> list[str]:
    given = ["judge", str(run), "--fields", "description,manoeuvre", "--model", f"openai:{NAME}"]
    given += ["--base-url", url, "--out", str(out), "--repeats", "2", "--controls", "3"]
    return [*given, "--concurrency", "2", "--no-store", *more]


def test_killed_and_run_again_it_asks_only_the_rest(
    run: Path, tmp_path: Path, program: Program
) -> None:
    out, file = tmp_path / "out", tmp_path / "out" / "judgements.jsonl"

    def slow(first: str, second: str, sample: int) -> int:
        time.sleep(0.02)
        return honest(first, second, sample)

    with serving(judging(slow)) as small:
        pid = program.start(*words(small.url, run, out), cwd=tmp_path)
        until = time.monotonic() + 120
        while len(questions_of(small)) < 15 and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        assert program.finish(pid).code == -signal.SIGKILL
        kept = {json.loads(line)["id"] for line in file.read_bytes().split(b"\n")[:-1]}
        time.sleep(0.2)  # what was being asked is still answered
        before = len(questions_of(small))
        done = program.run(*words(small.url, run, out, "--price-prompt", "2"), cwd=tmp_path)
        assert done.code == 0, done.said
        after = len(questions_of(small)) - before
    rows = Run.read(out).records("judgements", ("id", "repeat"))
    asked = {row["id"] for row in rows if not row.get("missing")}
    assert after == len(asked - kept)
    assert 5 < len(kept & asked) < len(asked)
    found = json.loads((out / "judge.json").read_text())
    whole = judge(judging(honest), run, tmp_path / "whole", JudgeConfig(repeats=2, controls=3))
    assert {k: v for k, v in found.items() if k != "usage"} == {
        k: v for k, v in plain(whole).items() if k != "usage"
    }
    spent = [json.loads(line) for line in (out / "usage.jsonl").read_text().splitlines()]
    assert found["usage"]["prompt_tokens"] == sum(row["prompt_tokens"] for row in spent) > 0
    assert "is not known" in done.out  # three clips a control are too few
    assert re.search(r"to be judged: \d+ questions, 2 answers each, sent to 127.0.0.1:", done.err)
    assert f"{50 * after} tokens asked" in done.err


def test_the_command_says_what_it_would_send_and_refuses_what_makes_no_sense(
    run: Path, tmp_path: Path, program: Program
) -> None:
    url, out = "http://127.0.0.1:9/v1", tmp_path / "out"
    done = program.run(*words(url, run, out, "--dry-run"), cwd=tmp_path)
    assert done.code == 0, done.said
    assert "sent to 127.0.0.1:9" in done.err
    assert not out.exists()
    for more, told in (
        (["--temperature", "0"], "repeats would all be alike"),
        (["--decoding", "posterior"], "allowed: constrained, free"),
        (["--offline", "lexical"], "no judge is asked"),
    ):
        done = program.run(*words(url, run, out, *more), cwd=tmp_path)
        assert done.code == 2, done.said
        assert told in done.err


@pytest.mark.parametrize("measure", ["lexical", "embedding"])
def test_without_a_judge_likeness_is_named_as_such(
    run: Path, tmp_path: Path, program: Program, measure: str
) -> None:
    out = tmp_path / "out"
    given = ["judge", str(run), "--fields", "all", "--offline", measure, "--out", str(out)]
    done = program.run(*given, cwd=tmp_path)
    assert done.code == 0, done.said
    assert "no judge was asked" in " ".join(done.out.split())
    found = json.loads((out / "similarity.json").read_text())
    assert not (out / "judge.json").exists()
    for row in Run.read(out).records("similarity", ("id",)):
        assert 0 <= row["similarity"] <= 1
        if row["missing"]:
            assert row["similarity"] == 0
        elif row["first"] == row["second"]:
            assert row["similarity"] == 1
    own = found["fields"]["description"]
    assert own["n_compared"] == 18  # two clips have no answer
    assert own["separation"] > 0.6
    page = Page((out / "report.html").read_text("utf-8"))
    assert "no scores of a judge" in "".join(page.text)


def test_sentences_are_compared_by_a_model_of_the_users(tmp_path: Path) -> None:
    """A small encoder of another architecture, saved as people save theirs."""
    from transformers import BertConfig, BertModel, BertTokenizer

    words_known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "rain", "dry", "road", "light"]
    (tmp_path / "vocab.txt").write_text("\n".join(words_known))
    BertTokenizer(vocab=str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    config = BertConfig(
        vocab_size=len(words_known),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    BertModel(config).save_pretrained(tmp_path)
    embedder = TextEmbedder(str(tmp_path), device="cpu")
    texts = ["rain road", "dry road light", "rain"]
    together = embedder.embed(texts)
    alone = torch.cat([embedder.embed([text]) for text in texts])
    # What a text is padded with does not count.
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(together.norm(dim=1), torch.ones(3), atol=1e-5)
    same, other = embedder.likeness([("rain", "rain"), ("rain", "dry road light")])
    assert same == 1
    assert 0 <= other < 1
    assert "last layer" in embedder.how
    with pytest.raises(UserError, match="allowed: builtin"):
        TextEmbedder(str(tmp_path / "nothing"))
