"""Answers along a template: always readable, exact distributions, the tokens of the whole text."""

import json
import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from tiny_models import (
    QUERY,
    encode_noise,
    make_checkpoint,
    plain_forward,
    request_for,
)

from kairoscope.answers.captions import parse_caption
from kairoscope.core import Failed, Sampling, Slot, Unparsed
from kairoscope.events import aligned, time_grid
from kairoscope.fields import caption_template, load_schema, render_caption
from kairoscope.models.chat import text_ids
from kairoscope.models.constrain import CompiledText, compile_template
from kairoscope.models.decode import decode_template, draw_token
from kairoscope.models.grammar import violation
from kairoscope.models.in_process import InProcessModel
from kairoscope.models.session import Session
from kairoscope.models.words import plain_ids
from kairoscope.recipes.subtask_times import TASK, template

TIMES_S = tuple(i / 4 for i in range(6))
GREEDY = Sampling()


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def pair(request: Any, tokenizer: Any) -> tuple[Any, Any]:
    ours = make_checkpoint(tokenizer, request.param)
    return ours, make_checkpoint(tokenizer, request.param, windows=False)


def compiled(checkpoint: Any, parts: Any) -> Any:
    return compile_template(
        parts,
        lambda text: text_ids(checkpoint.encoder, text),
        lambda: plain_ids(checkpoint.encoder.tokenizer, checkpoint.stop_ids),
    )


def write(checkpoint: Any, prompts: Any, parts: Any, sampling: Sampling, *, median: bool) -> Any:
    session = Session(checkpoint.network, checkpoint.encoder, prompts)
    session.repeat(sampling.trials)
    rows = session.num_rows
    return decode_template(
        session,
        [compiled(checkpoint, parts)] * rows,
        sampling,
        use_median=median,
        generators=[torch.Generator().manual_seed(row) for row in range(rows)],
    )


@torch.inference_mode()
def test_every_slot_has_the_products_of_the_path_probabilities(pair: Any) -> None:
    """Against transformers' forward over the text before each slot and each of its values."""
    ours, reference = pair
    prompt = encode_noise(ours, 6, fps=4.0)
    parts = template(QUERY[:2], TIMES_S)
    (written,) = write(ours, [prompt], parts, GREEDY, median=False)
    slots = [part for part in parts if isinstance(part, Slot)]
    assert [p.slot for p in written.posteriors] == [s.name for s in slots]
    values = [text_ids(ours.encoder, choice) for choice in slots[0].choices]
    before: list[int] = []
    number = 0
    for piece in compiled(ours, parts):
        if isinstance(piece, tuple):
            before += piece
            continue
        posterior, pick = written.posteriors[number], written.picks[number]
        weights = [path_probability(reference.network, prompt, before, values, v) for v in values]
        first = 0 if slots[number].not_before is None else written.picks[slots[number].not_before]
        weights = [0.0] * first + weights[first:]
        expected = [weight / sum(weights) for weight in weights]
        assert posterior.probabilities == pytest.approx(expected, abs=2e-4)
        assert math.isclose(sum(posterior.probabilities), 1.0, abs_tol=1e-9)
        assert all(p == 0 for p in posterior.probabilities[:first])
        assert pick == max(range(len(values)), key=lambda i: posterior.probabilities[i])
        before += values[pick]
        number += 1
    assert written.token_ids == before


def path_probability(
    network: Any, prompt: Any, before: list[int], values: list[tuple[int, ...]], value: Any
) -> float:
    """Probability of a value, renormalised at every token over the values still possible."""
    [logits] = plain_forward(network, [prompt], [*before, *value])
    start = len(prompt.token_ids) + len(before) - 1
    product = 1.0
    for depth, token in enumerate(value):
        nexts = sorted({v[depth] for v in values if v[:depth] == value[:depth] and len(v) > depth})
        p = torch.softmax(logits[start + depth][nexts].double(), dim=0)
        product *= p[nexts.index(token)].item()
    return product


def test_the_median_is_taken_in_posterior_decoding(pair: Any) -> None:
    ours, _ = pair
    (written,) = write(
        ours, [encode_noise(ours, 6, fps=4.0)], template(QUERY, TIMES_S), GREEDY, median=True
    )
    for pick, posterior in zip(written.picks, written.posteriors, strict=True):
        p = posterior.probabilities
        assert sum(p[:pick]) < 0.5 + 1e-9
        assert sum(p[: pick + 1]) >= 0.5 - 1e-9


def test_a_template_that_begins_with_a_slot_reads_the_end_of_the_prompt(pair: Any) -> None:
    ours, _ = pair
    slot = Slot(name="score", choices=("1", "2", "3", "4", "5"))
    prompt = encode_noise(ours, 4)
    (written,) = write(ours, [prompt], (slot, "."), GREEDY, median=False)
    session = Session(ours.network, ours.encoder, [prompt])
    ids = [text_ids(ours.encoder, choice)[0] for choice in slot.choices]
    expected = torch.softmax(session.last_BV[0, ids].double(), dim=0).tolist()
    assert written.posteriors[0].probabilities == pytest.approx(expected, abs=1e-5)


def test_all_answers_of_a_random_network_can_be_read(pair: Any, samples: Any) -> None:
    """100 % at temperature 1.5: every event, in order, on the grid, start <= end."""
    ours, _ = pair
    sampling = Sampling(trials=20, temperature=1.5)
    model = InProcessModel(ours, batch_size=3)
    for name, answer in model.answer(map(request_for, samples), sampling, "constrained"):
        assert not isinstance(answer, Failed)
        query = next(sample.query for sample in samples if sample.id == name)
        for completion in answer:
            events = TASK.parse(query, completion.text)
            assert isinstance(events, tuple)
            assert len(events) == len(query)
            assert None not in aligned(events, query)
            grid = {float(time) for time in time_grid(completion.frame_times_s)}
            for event in events:
                assert event.start_s in grid
                assert event.end_s in grid
                assert event.start_s <= event.end_s
            starts = [event.start_s for event in events if event.start_s is not None]
            assert all(a <= b for a, b in pairwise(starts))
            assert completion.finish == "stop"


def test_the_tokens_are_those_of_the_whole_text(pair: Any, tokenizer: Any) -> None:
    """So training, which cuts the whole answer into tokens, has seen exactly them."""
    ours, _ = pair
    prompts = [encode_noise(ours, 6, seed=i) for i in range(2)]
    names = ("one, two", "ends with a stop.", "(in brackets)", "12 things!", "naïve – gràb…")
    times_s = (0.0, 0.25, 9.75, 10.0, 100.25)
    sampling = Sampling(trials=3, temperature=1.5)
    for written in write(ours, prompts, template(names, times_s), sampling, median=False):
        text = tokenizer.decode(written.token_ids)
        assert tokenizer.encode(text) == written.token_ids
        events = TASK.parse(names, text)
        assert isinstance(events, tuple)
        assert TASK.render(names, events) == text


def test_free_words_end_and_the_tokens_are_those_of_the_whole_text(
    pair: Any, tokenizer: Any
) -> None:
    """A caption by a network that knows nothing: every field, texts of words, closed by a quote."""
    ours, _ = pair
    schema = load_schema("driving_world")
    parts = caption_template(schema, schema.names)
    sampling = Sampling(trials=6, temperature=1.5)
    for written in write(ours, [encode_noise(ours, 4)], parts, sampling, median=False):
        text = tokenizer.decode(written.token_ids)
        assert violation(parts, text) is None
        caption = parse_caption(schema, schema.names, text)
        assert not isinstance(caption, Unparsed)
        assert caption.keys() == {*schema.names}
        json.loads(text.removeprefix("<answer>").removesuffix("</answer>"))
    words = "A car. (Two?)"
    caption = {f.name: f.values[-1] for f in schema.fields if f.kind == "choice"}
    caption |= {"description": words}
    query = tuple(caption)
    text = render_caption(schema, query, caption)
    pieces = compiled(ours, caption_template(schema, query))
    spoken: list[int] = []
    for piece in pieces:
        if isinstance(piece, tuple):
            spoken += piece
        elif isinstance(piece, CompiledText):
            spoken += [*text_ids(ours.encoder, words), piece.end_id]
        else:
            spoken += piece.ids[-1]
    assert tuple(spoken) == text_ids(ours.encoder, text)


def test_temperature_sharpens_what_is_drawn_but_not_what_is_reported(pair: Any) -> None:
    ours, _ = pair
    prompt = [encode_noise(ours, 6)]
    parts = ("<", Slot(name="t", choices=time_grid(TIMES_S)), ">")
    cold = write(ours, prompt, parts, Sampling(trials=200, temperature=0.05), median=False)
    warm = write(ours, prompt, parts, Sampling(trials=200, temperature=1.0), median=False)
    p = cold[0].posteriors[0].probabilities
    assert p == pytest.approx(warm[0].posteriors[0].probabilities)
    best = max(range(len(p)), key=lambda i: p[i])
    shares = [sum(w.picks[0] == best for w in rows) / 200 for rows in (cold, warm)]
    assert shares[0] > max(0.8, shares[1])
    assert shares[1] == pytest.approx(p[best], abs=0.12)


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    generator = torch.Generator().manual_seed(0)

    def drawn(top_p: float) -> set[int]:
        sampling = Sampling(temperature=1.0, top_p=top_p)
        return {draw_token(logits, sampling, generator) for _ in range(300)}

    assert drawn(0.4) == {0}
    assert drawn(0.7) == {0, 1}
    assert drawn(0.9) == {0, 1, 2}
    assert drawn(1.0) == {0, 1, 2, 3}


def test_one_pass_a_slot(pair: Any) -> None:
    ours, _ = pair
    passes: list[int] = []
    session = Session(ours.network, ours.encoder, [encode_noise(ours, 40, fps=8.0)])
    handle = ours.network.model.register_forward_hook(lambda *_: passes.append(1))
    times_s = tuple(i / 8 for i in range(40))
    decode_template(
        session,
        [compiled(ours, template(QUERY, times_s))],
        GREEDY,
        use_median=True,
        generators=[torch.Generator()],
    )
    handle.remove()
    assert len(passes) == 2 * len(QUERY)
