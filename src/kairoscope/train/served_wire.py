"""What a trainer asks a vLLM server, and what it reads from its answers."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairoscope.core import FramePolicy, Sampling, Task
from kairoscope.models.chat import Encoder
from kairoscope.models.server.http import Connection, Refused
from kairoscope.models.server.options import ServerOptions
from kairoscope.models.server.sending import Way, medium
from kairoscope.models.server.walk import continued
from kairoscope.models.server.wire import request_fields
from kairoscope.train.prompts import Prompted
from kairoscope.train.rollouts import Rollout
from kairoscope.video.frames import load_frames

PLAIN = {
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "return_token_ids": True,
}
"""Against a checkpoint's `generation_config.json`, which vLLM would follow: answers are drawn from the
policy itself."""


class Unfit(Exception):
    """An answer that nothing can be learned from; says why."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a server is told about weights; these are not under `/v1`, so addresses are whole."""

    connection: Connection

    async def load(self, folder: Path, version: str) -> None:
        """Let it take the weights in a folder and forget what it has computed with others.

        Raises:
            Refused: it takes none.
            Unanswered: it has ended, perhaps because it cannot see the folder.
        """
        # Caches of keys, values and frames are cleared by the pause.
        await self._post("pause?mode=wait&clear_cache=true", {})
        paths = {"weights_path": str(folder)}
        await self._post("collective_rpc", {"method": "reload_weights", "kwargs": paths})
        await self._post("update_weight_version", {"new_version": version})
        await self._post("resume", {})

    async def version(self) -> str:
        """Which weights it has, by the name that `load` gave them."""
        found = await self.connection.ask("GET", self._address("weight_info"))
        return str(found.get("weight_version"))

    async def _post(self, path: str, body: Mapping[str, Any]) -> None:
        await self.connection.ask("POST", self._address(path), json.dumps(body).encode())

    def _address(self, path: str) -> str:
        root = str(self.connection.options.base_url).rstrip("/").removesuffix("/v1")
        return f"{root}/{path}"


@dataclass(slots=True, kw_only=True)
class Served:
    """Asks one server for answers, and what it thinks of answers."""

    model: str
    options: ServerOptions
    task: Task[Any, Any]
    policy: FramePolicy
    encoder: Encoder
    stop_ids: frozenset[int]
    group_size: int
    seed: int
    folder: Path
    """Where files for the server are put."""
    _way: Way | None = None

    async def drawn(self, connection: Connection, prompted: Prompted, step: int) -> list[Rollout]:
        """A group of answers. Randomness is of seed, step, prompt and number of the answer alone.

        Raises:
            Refused, Unanswered: see `Connection.ask`.
            UnreadableClip: the clip is gone.
            Unfit: the server does not tell what it drew, or was fed another prompt.
        """
        sampling = Sampling(
            trials=self.group_size,
            temperature=1.0,
            max_new_tokens=prompted.asked.limit,
            seed=self.seed,
        )
        name = f"{step}/{prompted.place}"
        more = {"logprobs": True, "top_logprobs": 0, "stop_token_ids": sorted(self.stop_ids)}
        found = await self._asked(connection, prompted, sampling, name, more)
        self._check_prompt(prompted, found["prompt_token_ids"])
        return rollouts_in(found, self.group_size, self.stop_ids)

    async def judged(
        self, connection: Connection, prompted: Prompted
    ) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Tokens of the right answer to a prompt, and the server's log-probability of each.

        Raises: as `drawn`.
        """
        sample = prompted.sample
        text = self.task.render(sample.query, sample.truth)
        sampling = Sampling(max_new_tokens=1)
        more = {"prompt_logprobs": 0}
        found = await self._asked(connection, prompted, sampling, "probe", more, text)
        ids = [int(token) for token in found["prompt_token_ids"]]
        start = len(prompted.asked.encoded.token_ids)
        self._check_prompt(prompted, ids[:start])
        try:
            rows = found["prompt_logprobs"][start:]
            log_p = [
                float(row[str(token)]["logprob"])
                for row, token in zip(rows, ids[start:], strict=True)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise Unfit(f"the server tells no probabilities of a prompt ({error!r})") from error
        if not log_p:
            raise Unfit("the server does not go on with an answer that has begun")
        return tuple(ids[start:]), tuple(log_p)

    async def _asked(
        self,
        connection: Connection,
        prompted: Prompted,
        sampling: Sampling,
        name: str,
        more: Mapping[str, Any],
        begun: str | None = None,
    ) -> Any:
        """Send a clip the first way that the server takes."""
        ways: tuple[Way, ...] = ("file", "base64", "frames")
        if self.options.send in ways:
            ways = (self.options.send,)
        for way in (self._way,) if self._way else ways:
            try:
                found = await self._sent(way, connection, prompted, sampling, name, more, begun)
            except Refused as error:
                if way == ways[-1] or self._way:
                    raise
                del error
                continue
            self._way = way
            if not isinstance(found, dict) or "prompt_token_ids" not in found:
                raise Unfit("the server tells no token ids (return_token_ids): it is no vLLM")
            return found
        raise AssertionError("unreachable")

    async def _sent(
        self,
        way: Way,
        connection: Connection,
        prompted: Prompted,
        sampling: Sampling,
        name: str,
        more: Mapping[str, Any],
        begun: str | None,
    ) -> Any:
        loop = asyncio.get_running_loop()
        sample, geometry = prompted.sample, self.encoder.geometry
        frames = await loop.run_in_executor(None, load_frames, sample.video, self.policy, geometry)
        with ExitStack() as stack:
            context = medium(way, frames, self.policy, geometry, self.folder)
            sent = await loop.run_in_executor(None, stack.enter_context, context)
            prompt = self.task.prompt(sample.query)
            fields = request_fields(self.model, prompt, sent, sampling, request_id=name)
            if begun is not None:
                fields = continued(fields, begun)
            body = json.dumps({**fields, **PLAIN, **more}, ensure_ascii=False)
            content = body.encode("utf-8", "backslashreplace")
            return await connection.ask("POST", "chat/completions", content)

    def _check_prompt(self, prompted: Prompted, ids: Sequence[int]) -> None:
        """Raise Unfit where the server was not asked what the trainer learns from."""
        wanted = prompted.asked.encoded.token_ids
        if tuple(ids) == tuple(wanted):
            return
        pairs = enumerate(zip(ids, wanted, strict=False))
        at = next((place for place, (a, b) in pairs if a != b), min(len(ids), len(wanted)))
        raise Unfit(
            f"{prompted.sample.id}: the server fed the model another prompt ({len(ids)} tokens, the "
            f"trainer's has {len(wanted)}, the first other one is number {at + 1}): its chat template or its "
            "sampling of frames is another; see docs/engines.md"
        )


def rollouts_in(found: Mapping[str, Any], expected: int, stop_ids: frozenset[int]) -> list[Rollout]:
    """The answers of a reply, by number. Raises Unfit where one is not all there."""
    try:
        rows = sorted(found["choices"], key=lambda row: int(row["index"]))
        made = []
        for row in rows:
            ids = [int(token) for token in row["token_ids"]]
            log_p = [float(token["logprob"]) for token in row["logprobs"]["content"]]
            if not ids or len(ids) != len(log_p):
                raise Unfit(f"{len(ids)} tokens of an answer with {len(log_p)} probabilities")
            made.append(
                Rollout(
                    token_ids=ids,
                    choices=list(range(len(ids))),
                    log_p=log_p,
                    finished=ids[-1] in stop_ids,
                )
            )
    except (KeyError, TypeError, ValueError) as error:
        raise Unfit(f"the server does not tell what it drew ({error!r})") from error
    if len(made) != expected:
        raise Unfit(f"the server gave {len(made)} answers, {expected} were asked for")
    return made
