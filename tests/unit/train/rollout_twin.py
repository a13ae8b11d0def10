"""What a vLLM server does in reinforcement learning, on a real socket, with a tiny network of its own.

It decodes the clip that it is sent, loads the weights that it is told to load, draws and judges with
them; and it misbehaves when told to.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import av
import numpy as np
import torch
from safetensors.torch import load_file
from serving import listening
from tiny_models import POLICY

from kairoscope.core import Sample
from kairoscope.models.chat import Encoded, encode, films, text_ids
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.models.forward import look
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train.branches import branches, log_probabilities
from kairoscope.train.rollouts import Asked, Drawing, Rollout, draw_groups
from kairoscope.video.frames import load_frames

NAME = "twin"


@dataclass
class Twin:
    """A server with a network."""

    checkpoint: Checkpoint
    samples: Sequence[Sample[Any, Any]]
    takes_weights: bool = True
    """False: not started in developer mode."""
    loads: bool = True
    """False: it says that it has loaded weights, and keeps its own."""
    sees_the_disk: bool = True
    other_prompt: bool = False
    dies_at: int | None = None
    """Chat request from which on it answers nothing."""
    restarts_at: int | None = None
    """Chat request before which it comes back with its first weights."""
    bias: float = 0.0
    """Nats by which it is wrong about what it drew."""
    bodies: list[Any] = field(default_factory=list)
    """Chat requests."""
    loaded: list[str] = field(default_factory=list)
    version: str = "default"
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        first = self.checkpoint.network.state_dict()
        self._first = {name: value.clone() for name, value in first.items()}

    def told(self, path: str, body: Any) -> Any:
        """The answer to a request, or None for one that is not known."""
        if path == "/v1/chat/completions":
            with self._lock:
                self.bodies.append(body)
                return self._chat(body)
        if not self.takes_weights:
            return None
        if path == "/weight_info":
            return {"weight_version": self.version}
        if path == "/update_weight_version":
            self.version = body["new_version"]
        elif path == "/collective_rpc":
            assert body["method"] == "reload_weights"
            folder = Path(body["kwargs"]["weights_path"])
            self.loaded.append(str(folder))
            if not self.sees_the_disk:
                raise FileNotFoundError(folder)
            if self.loads:
                weights = load_file(folder / "model.safetensors")
                self.checkpoint.network.load_state_dict(weights, strict=True)
        elif path not in ("/pause", "/resume"):
            return None
        return {"results": [None]}

    def _chat(self, body: Any) -> Any:
        if len(self.bodies) == self.restarts_at:
            self.checkpoint.network.load_state_dict(self._first)
            self.version = "default"
        begun = body["messages"][-1] if body["messages"][-1]["role"] == "assistant" else None
        encoded = self._encoded(body)
        ids = list(encoded.token_ids)
        if self.other_prompt:
            ids[3] += 1
        if begun is not None:
            tokens = text_ids(self.checkpoint.encoder, begun["content"])
            log_p = self._judged(encoded, tokens)
            rows = [{str(t): {"logprob": p}} for t, p in zip(tokens, log_p, strict=True)]
            return {
                "choices": [{"index": 0}],
                "prompt_token_ids": [*ids, *tokens],
                "prompt_logprobs": [None] * len(ids) + rows,
            }
        return {
            "choices": [self._choice(i, one) for i, one in enumerate(self._drawn(encoded, body))],
            "prompt_token_ids": ids,
        }

    def _choice(self, index: int, rollout: Rollout) -> Any:
        content = [{"logprob": p + self.bias} for p in rollout.log_p]
        return {"index": index, "token_ids": rollout.token_ids, "logprobs": {"content": content}}

    def _encoded(self, body: Any) -> Encoded:
        """The prompt with the frames that were sent, which have to be those of one of the clips."""
        parts = [part for part in body["messages"][1]["content"] if part["type"] == "video_url"]
        file = unquote(urlsplit(parts[0]["video_url"]["url"]).path)
        with av.open(file) as container:
            sent = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
        encoder = self.checkpoint.encoder
        for sample in self.samples:
            frames = load_frames(sample.video, POLICY, encoder.geometry)
            wanted = frames.pixels_THWC.numpy()
            count = len(wanted)
            if len(sent) == count + count % 2 and np.array_equal(sent[:count], wanted):
                asked = TASK.prompt(sample.query)
                return encode(encoder, asked, frames.pixels_THWC, frames.times_s, POLICY)
        raise AssertionError("frames of no clip")

    @torch.no_grad()
    def _judged(self, encoded: Encoded, tokens: Sequence[int]) -> list[float]:
        network, geometry = self.checkpoint.network, self.checkpoint.encoder.geometry
        answer = Rollout(token_ids=list(tokens), choices=list(range(len(tokens))))
        seen = look(network, films([encoded], geometry), geometry)
        log_p, _ = log_probabilities(network, branches(encoded, [answer]), seen, 1.0)
        found: list[float] = log_p.tolist()
        return found

    def _drawn(self, encoded: Encoded, body: Any) -> list[Rollout]:
        assert body["temperature"] == body["top_p"] == body["repetition_penalty"] == 1.0
        seeds = [body["seed"] + i for i in range(body["n"])]
        [drawn] = draw_groups(
            self.checkpoint.network,
            self.checkpoint.encoder,
            [Asked(encoded=encoded, limit=body["max_tokens"])],
            None,
            Drawing(group_size=body["n"], temperature=1.0, top_p=1.0, policy_temperature=1.0),
            stop_ids=frozenset(body["stop_token_ids"]),
            generators=[torch.Generator().manual_seed(seed) for seed in seeds],
        )
        return drawn


@contextmanager
def running(twin: Twin) -> Iterator[Twin]:
    """The server on a socket, its address in `url`."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            self.answer(None)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.answer(json.loads(body) if body else {})

        def answer(self, body: Any) -> None:
            if twin.dies_at is not None and len(twin.bodies) >= twin.dies_at:
                self.close_connection = True
                return
            status = 200
            try:
                found = twin.told(urlsplit(self.path).path, body)
            except FileNotFoundError as error:
                found, status = {"error": {"message": f"no such folder: {error}"}}, 500
            if found is None:
                found, status = {"detail": "Not Found"}, 404
            content = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with listening(Handler) as address:
        twin.url = f"{address}/v1"
        yield twin
