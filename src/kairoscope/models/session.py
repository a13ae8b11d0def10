"""One prefill, then many small steps: rows of a batch share the video's key-value cache.

A step feeds every row a chunk of tokens it has just written and, after it, the nodes of a trie
that branches off from there. The chunk stays in the cache, the trie is removed again. Rows that
have nothing to write in a step are padded, and the padding is masked for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from kairoscope.core import UserError
from kairoscope.models.chat import Encoded, Encoder, video_inputs
from kairoscope.models.constrain import Trie
from kairoscope.models.forward import Seen, embedded


@dataclass(frozen=True, slots=True)
class StepLogits:
    """Outputs of one step, float32."""

    last_BV: torch.Tensor
    """After the last token that each row has; a row with an empty chunk keeps what it had."""
    trie: tuple[torch.Tensor | None, ...]
    """For each row: (num_nodes, vocabulary) at the nodes of its trie, or None."""


class Session:
    """Key-value cache of a batch of prompts and what may be attended to in it."""

    @torch.inference_mode()
    def __init__(
        self,
        network: Any,
        encoder: Encoder,
        prompts: Sequence[Encoded],
        seen: Seen | None = None,
    ) -> None:
        """Run the prompts (left-padded to one length) and keep their cache.

        Args:
            network: a `...ForConditionalGeneration` model of transformers.
            encoder: what encoded the prompts.
            prompts: one or more encoded prompts.
            seen: what the vision tower said of the prompts; None: it is asked.

        Raises:
            UserError: the network gives NaN or infinities.
        """
        self.network = network
        self.encoder = encoder
        self.device = network.device
        self.cache = DynamicCache()
        self.last_BV = self._prefill(prompts, seen)
        self.next_position = [prompt.next_position for prompt in prompts]
        if not torch.isfinite(self.last_BV).all():
            raise UserError("the model's output is not a number: its weights are damaged")

    @property
    def num_rows(self) -> int:
        """Rows of the batch."""
        return len(self.next_position)

    def _prefill(self, prompts: Sequence[Encoded], seen: Seen | None) -> torch.Tensor:
        longest = max(len(prompt.token_ids) for prompt in prompts)
        ids = torch.zeros((len(prompts), longest), dtype=torch.long)
        positions = torch.zeros((3, len(prompts), longest), dtype=torch.long)
        self.valid_BS = torch.zeros((len(prompts), longest), dtype=torch.bool)
        for row, prompt in enumerate(prompts):
            length = len(prompt.token_ids)
            ids[row, longest - length :] = torch.tensor(prompt.token_ids)
            positions[:, row, longest - length :] = prompt.positions_3L
            self.valid_BS[row, longest - length :] = True
        self.valid_BS = self.valid_BS.to(self.device)
        ragged = not bool(self.valid_BS.all())
        shared: dict[str, Any] = {
            "position_ids": positions.to(self.device),
            "attention_mask": self._prefill_mask() if ragged else None,
            "past_key_values": self.cache,
            "use_cache": True,
        }
        if seen is None:
            pixels = video_inputs(self.encoder, prompts, self.device)
            out = self.network.model(input_ids=ids.to(self.device), **pixels, **shared)
        else:
            embeds, more = embedded(self.network, ids, seen)
            out = self.network.model.language_model(inputs_embeds=embeds, **more, **shared)
        hidden = out.last_hidden_state
        logits: torch.Tensor = self.network.lm_head(hidden[:, -1])
        return logits.float()

    def _prefill_mask(self) -> torch.Tensor:
        length = self.valid_BS.shape[1]
        causal = torch.ones((length, length), dtype=torch.bool, device=self.device).tril()
        mask = causal[None, None] & self.valid_BS[:, None, None, :]
        # A padded query attends to itself: a row of nothing but -inf would give NaN.
        itself = torch.eye(length, dtype=torch.bool, device=self.device)
        return mask | itself[None, None]

    def repeat(self, times: int) -> None:
        """Make `times` neighbouring copies of every row; the video is not computed again."""
        if times == 1:
            return
        self.cache.batch_repeat_interleave(times)
        self.valid_BS = self.valid_BS.repeat_interleave(times, dim=0)
        self.last_BV = self.last_BV.repeat_interleave(times, dim=0)
        self.next_position = [p for p in self.next_position for _ in range(times)]

    @torch.inference_mode()
    def step(
        self, chunks: Sequence[Sequence[int]], tries: Sequence[Trie | None] | None = None
    ) -> StepLogits:
        """Append a chunk of tokens to every row and look ahead along the rows' tries.

        Args:
            chunks: tokens to append, per row; may be empty.
            tries: per row, the continuations to evaluate, or None. The root of a trie is the
                end of the chunk, or of what came before an empty chunk.
        """
        tries = tries or [None] * self.num_rows
        width = max(1, *(len(chunk) for chunk in chunks))
        look = max(0 if trie is None else len(trie.tokens) - 1 for trie in tries)
        ids, positions, mask = self._inputs(chunks, tries, width, look)
        hidden = self.network.model(
            input_ids=ids.to(self.device),
            position_ids=positions.to(self.device),
            attention_mask=mask,
            past_key_values=self.cache,
            use_cache=True,
        ).last_hidden_state
        if look:
            self.cache.crop(-look)
        lengths = [len(chunk) for chunk in chunks]
        new_valid = torch.zeros((self.num_rows, width), dtype=torch.bool)
        for row, length in enumerate(lengths):
            new_valid[row, :length] = True
        self.valid_BS = torch.cat([self.valid_BS, new_valid.to(self.device)], dim=1)
        self.next_position = [
            start + length for start, length in zip(self.next_position, lengths, strict=True)
        ]
        return self._logits(hidden, lengths, tries, width)

    def _logits(
        self,
        hidden: torch.Tensor,
        lengths: Sequence[int],
        tries: Sequence[Trie | None],
        width: int,
    ) -> StepLogits:
        rows = torch.arange(self.num_rows, device=self.device)
        ends = torch.tensor([max(length - 1, 0) for length in lengths], device=self.device)
        head = self.network.lm_head
        written = torch.tensor(lengths, device=self.device)[:, None] > 0
        last = torch.where(written, head(hidden[rows, ends]).float(), self.last_BV)
        out: list[torch.Tensor | None] = []
        for row, trie in enumerate(tries):
            if trie is None:
                out.append(None)
                continue
            nodes = hidden[row, width : width + len(trie.tokens) - 1]
            out.append(torch.cat([last[row : row + 1], head(nodes).float()]))
        self.last_BV = last
        return StepLogits(last, tuple(out))

    def _inputs(
        self,
        chunks: Sequence[Sequence[int]],
        tries: Sequence[Trie | None],
        width: int,
        look: int,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        num_rows, past = self.valid_BS.shape
        ids = torch.zeros((num_rows, width + look), dtype=torch.long)
        positions = torch.zeros((num_rows, width + look), dtype=torch.long)
        fresh = torch.eye(width + look, dtype=torch.bool).repeat(num_rows, 1, 1)
        for row, (chunk, trie) in enumerate(zip(chunks, tries, strict=True)):
            length, start = len(chunk), self.next_position[row]
            ids[row, :length] = torch.tensor(chunk, dtype=torch.long)
            positions[row, :width] = start + torch.arange(width)
            fresh[row, :length, :length] = torch.ones((length, length), dtype=torch.bool).tril()
            if trie is None:
                continue
            for node in range(1, len(trie.tokens)):
                column = width + node - 1
                ids[row, column] = trie.tokens[node]
                positions[row, column] = start + length + trie.depths[node] - 1
                fresh[row, column, :length] = True
                parent = trie.parents[node]
                if parent > 0:
                    fresh[row, column] |= fresh[row, width + parent - 1]
        old = self.valid_BS[:, None, :].expand(-1, width + look, -1)
        mask = torch.cat([old, fresh.to(self.device)], dim=2)[:, None]
        assert mask.shape == (num_rows, 1, width + look, past + width + look)
        return ids, positions.expand(3, -1, -1), mask
