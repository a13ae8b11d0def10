"""Writing answers: freely, or along a template with the exact distribution of every slot."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from kairoscope.core import Posterior, Sampling, UserError
from kairoscope.models.constrain import (
    CompiledSlot,
    CompiledText,
    Piece,
    slot_log_probabilities,
)
from kairoscope.models.session import Session


def check_sampling(sampling: Sampling) -> None:
    """Raise UserError for settings with which nothing can be drawn."""
    rules = (
        ("trials", sampling.trials >= 1, "1 or more"),
        ("first_trial", sampling.first_trial >= 0, "0 or more"),
        ("temperature", 0 <= sampling.temperature < float("inf"), "0 or more"),
        ("top_p", 0 < sampling.top_p <= 1, "above 0, at most 1"),
        ("max_new_tokens", sampling.max_new_tokens >= 1, "1 or more"),
    )
    for name, good, allowed in rules:
        if not good:
            raise UserError(f"{name} is {getattr(sampling, name)}; allowed: {allowed}")


@dataclass(slots=True)
class Written:
    """Tokens and slot distributions of one row so far."""

    token_ids: list[int] = field(default_factory=list)
    posteriors: list[Posterior] = field(default_factory=list)
    picks: list[int] = field(default_factory=list)
    num_words: int = 0
    """Tokens in the free words that are being written."""
    finished: bool = False


def decode_free(
    session: Session,
    sampling: Sampling,
    *,
    stop_ids: frozenset[int],
    generators: Sequence[torch.Generator],
) -> list[Written]:
    """Let every row write until it stops or reaches `max_new_tokens`.

    Args:
        session: prefilled; one row an answer.
        sampling: temperature, top_p and length.
        stop_ids: tokens that end an answer; not part of it.
        generators: one source of randomness a row.
    """
    rows = [Written() for _ in range(session.num_rows)]
    logits = session.last_BV
    for _ in range(sampling.max_new_tokens):
        chunks: list[list[int]] = []
        for row, written in enumerate(rows):
            if written.finished:
                chunks.append([])
                continue
            token = draw_token(logits[row], sampling, generators[row])
            if token in stop_ids:
                written.finished = True
                chunks.append([])
                continue
            written.token_ids.append(token)
            chunks.append([token])
        if all(written.finished for written in rows):
            break
        logits = session.step(chunks).last_BV
    return rows


def draw_token(logits_V: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """One token: the most likely at temperature 0, else drawn from the nucleus of mass top_p."""
    if sampling.temperature == 0:
        return int(logits_V.argmax())
    p = torch.softmax(logits_V.double().cpu() / sampling.temperature, dim=0)
    if sampling.top_p < 1:
        ordered, order = p.sort(descending=True)
        ordered[ordered.cumsum(0) - ordered >= sampling.top_p] = 0
        p = torch.zeros_like(p).scatter(0, order, ordered)
    return int(torch.multinomial(p / p.sum(), 1, generator=generator))


def decode_template(
    session: Session,
    templates: Sequence[tuple[Piece, ...]],
    sampling: Sampling,
    *,
    use_median: bool,
    generators: Sequence[torch.Generator],
    unfed: Sequence[Sequence[int]] = (),
) -> list[Written]:
    """Write answers along templates: one forward pass a slot, whatever its number of values, and one
    a token of free words.

    Args:
        session: prefilled; one row an answer.
        templates: compiled template of each row.
        sampling: temperature, applied to the distribution over a slot's values; `top_p` is not.
        use_median: take each slot's median instead of its most likely or a drawn value.
        generators: one source of randomness a row.
        unfed: tokens of each row that come before its template and are not in the session yet.
    """
    rows = [Written() for _ in range(session.num_rows)]
    cursors = [0] * len(rows)
    pending: list[list[int]] = [list(ids) for ids in unfed] or [[] for _ in rows]
    while True:
        choices: list[CompiledSlot | CompiledText | None] = []
        for row, pieces in enumerate(templates):
            while cursors[row] < len(pieces) and isinstance(pieces[cursors[row]], tuple):
                pending[row].extend(pieces[cursors[row]])  # type: ignore[arg-type]
                cursors[row] += 1
            piece = pieces[cursors[row]] if cursors[row] < len(pieces) else None
            choices.append(None if isinstance(piece, tuple) else piece)
        if all(piece is None for piece in choices):
            break
        tries = [piece.trie if isinstance(piece, CompiledSlot) else None for piece in choices]
        step = session.step(pending, tries)
        for row, (piece, logits) in enumerate(zip(choices, step.trie, strict=True)):
            rows[row].token_ids.extend(pending[row])
            pending[row] = []
            if isinstance(piece, CompiledText):
                token = next_word(piece, step.last_BV[row], rows[row], sampling, generators[row])
                pending[row].append(token)
                cursors[row] += token == piece.end_id
            if not isinstance(piece, CompiledSlot) or logits is None:
                continue
            pick, posterior = choose(
                piece, logits, rows[row].picks, sampling, generators[row], use_median=use_median
            )
            rows[row].picks.append(pick)
            rows[row].posteriors.append(posterior)
            pending[row].extend(piece.ids[pick])
            cursors[row] += 1
    for row, written in enumerate(rows):
        # The closing literal needs no pass through the network: nothing is asked after it.
        written.token_ids.extend(pending[row])
        written.finished = True
    return rows


def next_word(
    text: CompiledText,
    logits_V: torch.Tensor,
    row: Written,
    sampling: Sampling,
    generator: torch.Generator,
) -> int:
    """The next token of free words, or the one that ends them, at the latest after `max_tokens`."""
    if row.num_words == text.max_tokens:
        token = text.end_id
    else:
        allowed = torch.tensor(text.allowed, device=logits_V.device)
        masked = torch.full_like(logits_V, -torch.inf)
        masked[allowed] = logits_V[allowed]
        token = draw_token(masked, sampling, generator)
    row.num_words = 0 if token == text.end_id else row.num_words + 1
    return token


def choose(
    slot: CompiledSlot,
    logits_NV: torch.Tensor,
    picks: Sequence[int],
    sampling: Sampling,
    generator: torch.Generator,
    *,
    use_median: bool,
) -> tuple[int, Posterior]:
    """Pick a value for a slot; values before the slot it may not precede have probability 0."""
    log_p = slot_log_probabilities(logits_NV.cpu(), slot.trie)
    if slot.slot.not_before is not None:
        log_p[: picks[slot.slot.not_before]] = -torch.inf
    p = torch.softmax(log_p, dim=0)
    posterior = Posterior(
        slot=slot.slot.name, choices=slot.slot.choices, probabilities=tuple(p.tolist())
    )
    if use_median:
        return int((p.cumsum(0) < 0.5).sum().clamp(max=len(p) - 1)), posterior
    if sampling.temperature == 0:
        return int(p.argmax()), posterior
    drawn = torch.softmax(log_p / sampling.temperature, dim=0)
    return int(torch.multinomial(drawn, 1, generator=generator)), posterior
