"""Vectors of texts from weights on this machine, for telling how alike two texts are.

Of a Qwen-VL checkpoint (the built-in one, say) the input embeddings of the tokens are averaged, less their
mean over the vocabulary; the network itself is not run, so the order of words does not count. Of any other
model that transformers loads, such as one for sentences, the last layer's outputs are averaged.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

from kairoscope.core import UserError
from kairoscope.models.checkpoint import (
    best_device,
    check_device,
    load_checkpoint,
    weights_identity,
)
from kairoscope.models.names import BUILTIN, FAMILIES, builtin_folder

AT_ONCE = 32
LONGEST = 512
"""Tokens of a text; what comes after does not count."""


class TextEmbedder:
    """Texts as vectors of length 1."""

    def __init__(self, spec: str, device: str | None = None) -> None:
        """Load a model.

        Args:
            spec: `builtin`, or the folder of a model in the layout of transformers.
            device: `cpu`, `cuda`, …; None takes the best there is.

        Raises:
            UserError: no such folder, or no model in it.
        """
        folder = builtin_folder() if spec == BUILTIN else Path(spec).expanduser()
        self.name = spec
        self.device = check_device(device or best_device())
        self._is_vl = _architecture(spec, folder) in FAMILIES
        self.identity = weights_identity(folder) or ""
        if self._is_vl:
            checkpoint = load_checkpoint(folder, device=self.device)
            self._tokenizer: Any = checkpoint.encoder.tokenizer
            table: torch.Tensor = checkpoint.network.get_input_embeddings().weight.detach().float()
            self._table_VD: torch.Tensor = table - table.mean(dim=0)
        else:
            self._tokenizer, self._network = _sentence_model(spec, folder, self.device)

    @property
    def how(self) -> str:
        """What the vectors are, in words."""
        if self._is_vl:
            return (
                f"cosine of the mean input embeddings of the tokens of {self.name}; its network is not run, "
                "so the order of words does not count"
            )
        return f"cosine of the mean outputs of the last layer of {self.name}"

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> torch.Tensor:
        """(texts, width) on the CPU, each of length 1; an empty text is all zeros."""
        rows = [
            self._some(texts[first : first + AT_ONCE]) for first in range(0, len(texts), AT_ONCE)
        ]
        return functional.normalize(torch.cat(rows), dim=1) if rows else torch.zeros((0, 1))

    def likeness(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Cosine of each pair, from 0 to 1: vectors that point apart are as unlike as can be."""
        different = sorted({text for pair in pairs for text in pair})
        place = {text: index for index, text in enumerate(different)}
        vectors = self.embed(different)
        return [
            1.0 if one == other else max(0.0, float(vectors[place[one]] @ vectors[place[other]]))
            for one, other in pairs
        ]

    def _some(self, texts: Sequence[str]) -> torch.Tensor:
        if self._is_vl:
            return torch.stack([self._mean_of_tokens(text) for text in texts]).cpu()
        fed = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
        ).to(self.device)
        hidden = self._network(**fed).last_hidden_state.float()
        mask = fed["attention_mask"][..., None].float()
        found: torch.Tensor = ((hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)).cpu()
        return found

    def _mean_of_tokens(self, text: str) -> torch.Tensor:
        # A space before the first word, so that a word is one token wherever it stands.
        ids = self._tokenizer.encode(" " + text.strip(), add_special_tokens=False)[:LONGEST]
        if not ids:
            return torch.zeros(self._table_VD.shape[1])
        return self._table_VD[torch.tensor(ids, device=self._table_VD.device)].mean(dim=0)


def _architecture(spec: str, folder: Path) -> str:
    try:
        config = json.loads((folder / "config.json").read_bytes())
        return str(config["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"--model {spec}: no folder of a model on this machine ({error}); allowed: {BUILTIN}, or a "
            "folder in the layout of transformers"
        ) from error


def _sentence_model(spec: str, folder: Path, device: str) -> tuple[Any, Any]:
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder))
        network = AutoModel.from_pretrained(str(folder))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UserError(f"--model {spec}: cannot be loaded: {error}") from error
    return tokenizer, network.to(device).eval()
