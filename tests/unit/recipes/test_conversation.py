"""Any conversation can be trained on: a recipe for what no other recipe reads."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import POLICY, make_checkpoint, write_clip

from kairoscope.config import SFTConfig
from kairoscope.core import Record, Unparsed, UserError
from kairoscope.data.any_conversations import load_any
from kairoscope.metrics.texts import summarize_texts, text_scores
from kairoscope.recipes.asked import Options
from kairoscope.recipes.choosing import recipe_for
from kairoscope.recipes.conversation import TASK
from kairoscope.train.sft import sft

ANSWERS = ("A red cube is put on a green one.", "grasping the cube, letting go", "no", "0.5 s")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("talk")
    lines = []
    for number, answer in enumerate(ANSWERS):
        write_clip(folder / f"{number}.mp4", seconds=1.0 + number / 4, seed=number)
        content = [{"type": "video", "video": f"{number}.mp4"}, {"type": "text", "text": "What?"}]
        messages = [{"role": "user", "content": content}, {"role": "assistant", "content": answer}]
        lines.append(json.dumps({"messages": messages}))
    (folder / "rows.jsonl").write_text("\n".join(lines))
    return folder / "rows.jsonl"


def test_the_answer_is_learned_to_the_last_word(rows: Path, tmp_path: Path, tokenizer: Any) -> None:
    samples = load_any(rows)
    config = SFTConfig(
        epochs=99, max_steps=40, batch_size=4, micro_batch_size=2, learning_rate=1e-2,
        warmup_steps=2, eval_every=40, schedule="constant",
    )  # fmt: skip
    log: list[dict[str, Any]] = []
    torch.manual_seed(0)
    result = sft(
        make_checkpoint(tokenizer), TASK, samples, samples, policy=POLICY, config=config,
        out=tmp_path, log=log.append,
    )  # fmt: skip
    held_out = next(row for row in log if row["kind"] == "held_out")
    assert held_out["words"] > 0.9
    assert held_out["exact"] >= 0.75
    assert result.best_score == held_out["words"]


def test_scores_are_best_for_the_truth_and_worst_for_nothing(rows: Path) -> None:
    for sample in load_any(rows):
        assert sample.gold is not None
        text = TASK.render(sample.query, sample.gold)
        assert TASK.score(TASK.parse(sample.query, text + "<|im_end|>x"), sample) == {
            "exact": 1.0,
            "words": 1.0,
        }
        assert TASK.score(TASK.parse(sample.query, " "), sample) == {"exact": 0.0, "words": 0.0}
    assert text_scores("the red cube", "the Red ball")["words"] == pytest.approx(2 / 3)
    assert text_scores(Unparsed("x"), "y")["words"] == 0.0


def test_a_recipe_is_chosen_by_what_the_data_holds(rows: Path, tmp_path: Path) -> None:
    assert recipe_for(Options(data=[str(rows)])).name == "conversation"
    (tmp_path / "labels.jsonl").write_text('{"video": "a.mp4", "score": 3}\n')
    assert recipe_for(Options(data=[str(tmp_path)])).name == "physics-score"
    (tmp_path / "e").mkdir()
    events = '{"video": "a.mp4", "events": [{"name": "x", "start_s": 0, "end_s": 1}]}\n'
    (tmp_path / "e" / "labels.jsonl").write_text(events)
    assert recipe_for(Options(data=[f"{tmp_path / 'e'}=0.5"])).name == "subtask-times"
    assert recipe_for(Options(data=[str(tmp_path / "gone")])).name == "subtask-times"
    toml = tmp_path / "avha_sft.toml"
    toml.write_text(
        f'[train.train_policy]\ntype = "sft"\ndataset.name = "{rows}"\n'
        "[policy]\nmodel_max_length = 4096\n"
    )
    assert recipe_for(Options(config=toml)).name == "conversation"


def record(clip: str, **scores: float) -> Record:
    return Record(
        sample_id=clip, video=clip, group=clip, scenario="s", trial=0, text="", value="x",
        unparsed=None, gold="x", query=[], scores=scores, duration_s=1.0,
    )  # fmt: skip


def test_a_summary_has_means_intervals_and_the_wrong_videos() -> None:
    right = [record("a", exact=1.0, words=1.0), record("b", exact=0.0, words=0.5)]
    wrong = [record("a", exact=0.0, words=0.25)]
    found = summarize_texts(right, control=wrong, draws=200)
    assert (found["n_clips"], found["words"], found["exact"]) == (2, 0.75, 0.5)
    assert found["words_wrong_video"] == 0.25
    assert found["words_ci"][0] <= 0.75 <= found["words_ci"][1]
    assert found == summarize_texts(right[::-1], control=wrong, draws=200)
    assert summarize_texts([])["words"] is None


def test_a_grammar_is_not_to_be_had(rows: Path, tokenizer: Any) -> None:
    from kairoscope.core import Request, Sampling
    from kairoscope.models.in_process import InProcessModel

    sample = load_any(rows)[0]
    asked = Request(
        id="a", video=sample.video, prompt=TASK.prompt(sample.query), policy=POLICY,
        template=lambda times: TASK.template(sample.query, times),
    )  # fmt: skip
    model = InProcessModel(make_checkpoint(tokenizer))
    with pytest.raises(UserError, match="follow no grammar: --decoding free"):
        list(model.answer([asked], Sampling(), "posterior"))
