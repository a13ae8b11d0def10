"""A model whose answers are made by workers of a Ray cluster: the same answers, on many machines.

Each worker opens the same engine as one process would: weights of its own, or a connection to a server.
Ray Data hands out questions and takes what a lost worker had to another one. Only this file knows Ray, an
optional extra.
"""

import logging
import os
import pickle
import socket
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Any

from kairoscope.core import (
    Answer,
    Decoding,
    Failed,
    FramePolicy,
    Request,
    Sampling,
    UserError,
)
from kairoscope.models.engines import Engine, EngineOptions, open_engine
from kairoscope.models.names import split_spec

ON_A_SERVER = "openai"
"""Engines whose workers only wait for a server."""
MOST_AT_ONCE = 16
"""Questions that a worker takes at a time: what it loses when it is killed is asked again."""
PORTIONS = 8
"""Portions for each worker, at least, so that none waits long for the last one."""
RETRIES = 3
"""Times that a portion is given to another worker. One that takes all of them down holds a bad clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RayOptions:
    """How a cluster is used."""

    workers: int | None = None
    """None: one for each GPU or, without, for each CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """What a worker gets of the cluster, and how many there are."""

    count: int
    num_cpus: float
    num_gpus: float


def connected() -> Any:
    """Ray, connected: to RAY_ADDRESS, to the cluster of this machine, or to one that is started for this.

    Raises UserError where Ray is not installed or the cluster does not answer.
    """
    if find_spec("ray") is None:
        raise UserError(
            "--ray: Ray is not installed; pip install 'kairoscope[ray]', here and on the workers"
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray
    import ray.data

    if not ray.is_initialized():
        own = {} if os.environ.get("RAY_ADDRESS") else {"include_dashboard": False}
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **own)
        except ConnectionError as error:
            address = os.environ.get("RAY_ADDRESS", "of this machine")
            raise UserError(f"--ray: the cluster {address} does not answer ({error})") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray


def on_cluster(
    spec: str, options: EngineOptions, ray_options: RayOptions
) -> tuple[Engine, EngineOptions]:
    """The engine over the cluster, and the options that its workers have.

    Raises UserError where there is no Ray, no cluster, or no room on it for so many workers.
    """
    ray = connected()
    there = ray.cluster_resources()
    worker = room_on(there, spec, options, ray_options)
    device = options.device
    if split_spec(spec)[0] != ON_A_SERVER:
        device = device or ("cuda" if worker.num_gpus else "cpu")
    options = replace(options, device=device)
    return RayModel(spec, options, ray, worker), options


def room_on(
    there: Mapping[str, float], spec: str, options: EngineOptions, ray_options: RayOptions
) -> Workers:
    """How many workers a cluster with these resources takes, and what each gets of them.

    Raises UserError where it has not enough for as many as are wanted.
    """
    cpus, gpus = there.get("CPU", 0.0), there.get("GPU", 0.0)
    uses_gpu = (
        gpus >= 1
        and split_spec(spec)[0] != ON_A_SERVER
        and (options.device is None or options.device.startswith("cuda"))
    )
    most = int(gpus if uses_gpu else cpus)
    count = ray_options.workers or max(1, most)
    if count > most:
        what = "GPUs" if uses_gpu else "CPUs"
        raise UserError(
            f"--ray-workers {count}: the cluster has {most} {what}, one for each worker"
        )
    return Workers(count=count, num_cpus=1.0, num_gpus=1.0 if uses_gpu else 0.0)


class RayModel:
    """Answers of workers on a cluster. See `core.Model`; answers come in any order."""

    def __init__(self, spec: str, options: EngineOptions, ray: Any, worker: Workers) -> None:
        """Nothing is asked and no weights are loaded yet; see `on_cluster`."""
        self.spec = spec
        self.options = replace(options, on_loading=None)
        self.workers = worker
        self._ray = ray
        self._here = open_engine(spec, self.options)

    @property
    def name(self) -> str:
        """What the user called it."""
        return self._here.name

    @property
    def identity(self) -> str:
        """That of the model on this machine; workers that have another one refuse."""
        return self._here.identity

    @property
    def policy(self) -> FramePolicy | None:
        """Frames that the model was trained on, where it says so."""
        return self._here.policy

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        """See `core.Model`. A question that takes down every worker it is given to has failed.

        Raises:
            UserError: what a worker's engine raises, or not one worker stays up.
        """
        waiting = {request.id: request for request in requests}
        if not waiting:
            return
        asked = len(waiting)
        # Portions that share a worker with a bad clip go down with it: what is left is asked one by one.
        for at_once in (portion(asked, self.workers.count, self._batch()), 1):
            for name, answer in self._round(list(waiting.values()), at_once, sampling, decoding):
                del waiting[name]
                yield name, answer
            if not waiting:
                return
        if len(waiting) == asked:
            raise UserError(
                "--ray: not one answer came: every worker died at its first question. What Ray keeps of "
                "them is in its session folder"
            )
        for name in list(waiting):
            yield name, Failed(reason=f"{RETRIES + 1} workers died with it, one after the other")

    def _batch(self) -> int:
        """Questions that one engine works on at a time."""
        if split_spec(self.spec)[0] == ON_A_SERVER:
            return self.options.server.concurrency
        return self.options.batch_size or (8 if self.workers.num_gpus else 1)

    def _round(
        self, requests: Sequence[Request], at_once: int, sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        """Give every question out; those whose worker died too often do not come back."""
        data, cloudpickle = self._ray.data, self._ray.cloudpickle
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.max_errored_blocks = -1
        items = [{"request": cloudpickle.dumps(request)} for request in requests]
        given = {
            "spec": self.spec,
            "options": pickle.dumps(self.options),
            "identity": self.identity,
            "folder": str(Path.cwd()),
            "asked": (sampling, decoding),
        }
        workers = min(self.workers.count, len(requests))
        portions = data.from_items(items, override_num_blocks=ceil(len(items) / at_once))
        with warnings.catch_warnings():
            # Ray means to give up on numbers of retries in 2.64; the extra asks for an earlier one.
            warnings.simplefilter("ignore", DeprecationWarning)
            answers = portions.map_batches(
                _Answering,
                batch_size=None,
                fn_constructor_kwargs=given,
                compute=data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
                num_cpus=self.workers.num_cpus,
                num_gpus=self.workers.num_gpus,
                max_restarts=-1,
                max_task_retries=RETRIES,
            )
        for row in answers.iter_rows():
            found = pickle.loads(row["answer"])  # noqa: S301 (made by our own workers, of our own types)
            if isinstance(found, Exception):
                raise found
            yield found


def portion(count: int, workers: int, batch: int) -> int:
    """Questions that a worker takes at a time: full batches, and enough portions for all workers."""
    share = ceil(count / (workers * PORTIONS))
    return batch * max(1, min(MOST_AT_ONCE, share) // batch)


class _Answering:
    """What runs in a worker: an engine, asked about one portion after the other."""

    def __init__(
        self,
        spec: str,
        options: bytes,
        identity: str,
        folder: str,
        asked: tuple[Sampling, Decoding],
    ) -> None:
        self.sampling, self.decoding = asked
        self.fault: Exception | None = None
        try:
            os.chdir(folder)  # paths of clips and weights are as seen from there
            self.engine = open_engine(spec, pickle.loads(options))  # noqa: S301 (made by `RayModel`)
            if self.engine.identity != identity:
                raise UserError(f"{spec} is another model there than on the machine that asks")
        except (UserError, OSError) as error:
            self.fault = UserError(f"--ray: on {socket.gethostname()}: {error}")

    def __call__(self, batch: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """One row an answer, as soon as there is one; an error is a row, too, and rises where it is read."""
        if self.fault is not None:
            yield _row(self.fault)
            return
        requests = (pickle.loads(one) for one in batch["request"])  # noqa: S301 (made by `RayModel`)
        try:
            for answer in self.engine.answer(requests, self.sampling, self.decoding):
                yield _row(answer)
        except Exception as error:  # noqa: BLE001 (raised again by `RayModel`, in the process that asked)
            yield _row(error)


def _row(value: Any) -> dict[str, Any]:
    return {"answer": [pickle.dumps(value)]}
