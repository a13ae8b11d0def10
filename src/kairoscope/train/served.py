"""Answers of a step from a vLLM server, which is given the present weights before it is asked.

The weights go through a disk that both see; the server is told to load them, forgets what it has
computed with older ones, and has to prove that it has them (`train/synced.py`) before it is asked.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from safetensors.torch import save_file

from kairoscope.config import GRPOConfig, SFTConfig
from kairoscope.core import FramePolicy, Task, UnreadableClip, UserError
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.models.saving import written_whole
from kairoscope.models.server.background import Background
from kairoscope.models.server.http import Connection, Refused, Unanswered
from kairoscope.models.server.options import ServerOptions, check_options
from kairoscope.models.server.usage import Usage
from kairoscope.train.answering import computing, looked_at
from kairoscope.train.branches import branches, log_probabilities
from kairoscope.train.group import ALONE, Group
from kairoscope.train.loop import Training
from kairoscope.train.prompts import Prompted
from kairoscope.train.rollouts import Rollout
from kairoscope.train.served_wire import Served, Told, Unfit
from kairoscope.train.synced import Probed, why_unsynced
from kairoscope.train.trainable import Trained, merged_weights

PREFIX = "openai:"
DEVELOPER = "VLLM_SERVER_DEV_MODE=1"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutServer:
    """Which server draws the answers of a run."""

    model: str
    """As the server calls it."""
    options: ServerOptions


def rollout_server(spec: str, options: ServerOptions) -> RolloutServer:
    """What `--rollouts` says. Raises UserError for what is no server."""
    if not spec.startswith(PREFIX) or spec == PREFIX:
        raise UserError(f"--rollouts {spec}: allowed: openai:NAME, as the server calls the model")
    if options.base_url is None:
        raise UserError(f"--rollouts {spec}: needs --base-url, such as http://localhost:8000/v1")
    check_options(spec, options)
    if options.send == "images":
        raise UserError("--send images: allowed with --rollouts: auto, file, base64, frames")
    return RolloutServer(model=spec.removeprefix(PREFIX), options=options)


def check_served(config: GRPOConfig | SFTConfig) -> None:
    """Raise UserError for settings with which no server can draw from the policy that learns."""
    wanted: dict[str, Any] = {
        "decoding": "free",
        "temperature": 1.0,
        "policy_temperature": 1.0,
        "top_p": 1.0,
    }
    for name, value in wanted.items():
        found = getattr(config, name, value)
        if found != value:
            raise UserError(
                f"{name} is {found}; allowed with --rollouts: {value} (a server draws from, and tells "
                f"probabilities of, its plain distribution); give --set {name}={value}"
            )


@dataclass(slots=True, kw_only=True)
class ServedRollouts:
    """Draws the answers of every step from a server. Close it at the end."""

    server: RolloutServer
    checkpoint: Checkpoint
    """In training: its network has the present weights."""
    task: Task[Any, Any]
    policy: FramePolicy
    config: GRPOConfig
    trained: Trained
    out: Path
    group: Group = ALONE
    name: str = field(default_factory=lambda: uuid4().hex[:12])
    """Of this session, so that another one's weights are told apart."""
    _background: Background[Connection] | None = None
    _fixed: Prompted | None = None
    _before: Probed | None = None
    _noise: float | None = None
    _version: str = ""

    @classmethod
    def of(
        cls,
        server: RolloutServer,
        checkpoint: Checkpoint,
        task: Task[Any, Any],
        config: GRPOConfig,
        training: Training,
    ) -> "ServedRollouts":
        """For a run that is ready."""
        return cls(
            server=server,
            checkpoint=checkpoint,
            task=task,
            policy=training.around.policy,
            config=config,
            trained=training.trained,
            out=training.around.out,
            group=training.around.group,
        )

    def sync(self, prompts: Sequence[Prompted], step: int) -> dict[str, float]:
        """Give the server the present weights and let it prove it; returns what is worth logging.

        A collective call.

        Args:
            prompts: of the step; the first of the first step is what the proof is about.
            step: number of the step, from 0.

        Raises:
            UserError: the server cannot be reached, takes no weights, or does not have them.
        """
        started = time.perf_counter()
        with self.trained.whole() as network:
            weights = merged_weights(network, self._dtype) if self.group.is_first else {}
        self._version = self.group.from_first(lambda: f"{self.name}/{step}")
        row = self.group.from_first(lambda: self._given(weights, prompts, step))
        return row | {"sync_seconds": time.perf_counter() - started}

    def draw(self, prompts: Sequence[Prompted], step: int) -> list[list[Rollout]]:
        """A group of answers to each prompt.

        Raises:
            UserError: the server has ended, fed the model another prompt, or was given other weights.
        """
        drawn: dict[int, list[Rollout]] = {}
        background = self._opened()
        with tempfile.TemporaryDirectory(
            prefix="kairoscope-",
            dir=self.server.options.shared_folder,
            ignore_cleanup_errors=True,
        ) as folder:
            Path(folder).chmod(0o711)
            served = self._served(Path(folder))

            async def one(connection: Connection, at: int) -> tuple[int, list[Rollout]]:
                return at, await served.drawn(connection, prompts[at], step)

            at_once = self.server.options.concurrency
            with _blamed(self._url, step):
                places = range(len(prompts))
                drawn |= dict(background.finished(places, one, at_once=at_once))
                told = background.run(Told(background.context).version())
        if told != self._version:
            raise UserError(
                f"{self._url}: in step {step + 1} the server has other weights than those it was given "
                f"(version {told!r}, given {self._version!r}): it was started again, or another training "
                "uses it. Nothing was learned from its answers; run the same command again"
            )
        return [drawn[at] for at in range(len(prompts))]

    def close(self) -> None:
        """End the connection and delete the weights that were handed over."""
        if self._background is not None:
            self._background.close()
            self._background = None
        if self.group.is_first:
            shutil.rmtree(self._handed, ignore_errors=True)

    @property
    def _url(self) -> str:
        return str(self.server.options.base_url)

    @property
    def _handed(self) -> Path:
        """Where weights are handed over: beside the run, or where the user says that both see it."""
        shared = self.server.options.shared_folder
        return (shared / f"kairoscope-{self.name}" if shared else self.out / "served").resolve()

    @property
    def _dtype(self) -> torch.dtype:
        """What the trainer computes in: the server is given the same numbers."""
        return torch.bfloat16 if self.config.dtype == "bfloat16" else torch.float32

    def _opened(self) -> Background[Connection]:
        if self._background is None:
            options = self.server.options
            self._background = Background(lambda: Connection(options, Usage()))
        return self._background

    def _served(self, folder: Path) -> Served:
        return Served(
            model=self.server.model,
            options=self.server.options,
            task=self.task,
            policy=self.policy,
            encoder=self.checkpoint.encoder,
            stop_ids=self.checkpoint.stop_ids,
            group_size=self.config.group_size,
            seed=self.config.seed,
            folder=folder,
        )

    def _given(
        self, weights: dict[str, torch.Tensor], prompts: Sequence[Prompted], step: int
    ) -> dict[str, float]:
        """Hand over, load, compare. Of the first process."""
        folder = self._handed / f"step_{step:07d}"
        with written_whole(folder) as temporary:
            save_file(_apart(weights), temporary / WEIGHTS)
            (temporary / WEIGHTS).chmod(0o644)
        background = self._opened()
        with _blamed(self._url, step):
            background.run(Told(background.context).load(folder, self._version))
            probed = self._probed(background, prompts)
        for old in self._handed.iterdir():
            if old != folder:
                shutil.rmtree(old, ignore_errors=True)
        why = why_unsynced(probed, self._before, self._noise, self.config.dtype)
        if why is not None:
            raise UserError(
                f"{self._url}: before step {step + 1} the server does not have the trainer's weights, "
                f"though it was told to load {folder}: {why}. Nothing was learned from it"
            )
        self._before = probed
        if self._noise is None:
            self._noise = probed.gap
        return {"server_gap": probed.gap}

    def _probed(self, background: Background[Connection], prompts: Sequence[Prompted]) -> Probed:
        """What server and trainer say of the same answer to the same prompt."""
        fixed = self._fixed = self._fixed or prompts[0]
        with tempfile.TemporaryDirectory(
            prefix="kairoscope-", dir=self.server.options.shared_folder
        ) as name:
            Path(name).chmod(0o711)
            served = self._served(Path(name))
            tokens, theirs = background.run(served.judged(background.context, fixed))
        return Probed(server=theirs, trainer=self._mine(fixed, tokens))

    @torch.no_grad()
    def _mine(self, prompted: Prompted, tokens: Sequence[int]) -> tuple[float, ...]:
        """The trainer's log-probabilities of an answer, token by token."""
        network = self.checkpoint.network
        answer = Rollout(token_ids=list(tokens), choices=list(range(len(tokens))))
        encoded = prompted.asked.encoded
        was_training = network.training
        network.eval()
        with computing(network, self.config):
            seen = looked_at(self.checkpoint, prompted)
            log_p, _ = log_probabilities(network, branches(encoded, [answer]), seen, 1.0)
        network.train(was_training)
        return tuple(log_p.tolist())


def _apart(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights of which no two share memory, as tied ones do: the file format does not take those."""
    places: set[int] = set()
    found = {}
    for name, value in weights.items():
        found[name] = value.clone() if value.data_ptr() in places else value
        places.add(value.data_ptr())
    return found


@contextmanager
def _blamed(url: str, step: int) -> Iterator[None]:
    """Say by name what a server did not do."""
    try:
        yield
    except Unanswered as error:
        if error.fault == "status":
            raise UserError(
                f"{url}: the server fails in step {step + 1} ({error}); weights are handed over in a folder "
                "that it has to see under the same path: --out, or --shared-folder"
            ) from error
        raise UserError(
            f"{url}: the server does not answer any more in step {step + 1} ({error}); run the same "
            "command again when it is there: training goes on from the last saved step"
        ) from error
    except Refused as error:
        hint = f"; start vLLM with {DEVELOPER}, which lets it take weights"
        missing = error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
        raise UserError(f"{url}: {error}{hint if missing else ''}") from error
    except (Unfit, UnreadableClip) as error:
        raise UserError(f"{url}: {error}") from error
