"""Answers of a Ray cluster are those of one process, whatever becomes of its workers.

`make test-ray` runs this in an environment of its own; elsewhere it is skipped by name.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from command_line import EVENTS, write_world

from kairoscope.core import (
    Decoding,
    Failed,
    FramePolicy,
    Request,
    Sampling,
    Template,
    UserError,
)
from kairoscope.models.engines import EngineOptions, open_engine
from kairoscope.models.over_ray import RayOptions, on_cluster
from kairoscope.recipes.subtask_times import TASK

if find_spec("ray") is None:
    pytest.skip("Ray is not installed: make test-ray", allow_module_level=True)

CLIPS = 12
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture(scope="session", autouse=True)
def cluster() -> Iterator[Any]:
    """Two CPUs of this machine."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Workers are niced by 15 unless told otherwise: beside other work they would stand still.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 (Ray spells it so)
    import ray

    # Workers cannot import this file.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield ray
    ray.shutdown()


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips in `data` and a small checkpoint in `model`."""
    folder = tmp_path_factory.mktemp("ray")
    write_world(folder / "data", CLIPS)
    sizes = ("text_width=48", "text_depth=2", "vision_width=32", "vision_depth=2", "text_heads=2")
    frames = ("fps=4", "min_frame_pixels=7056", "max_frame_pixels=7056", "stamp_place=band")
    options = [f"--size={size}" for size in sizes] + [f"--frames={frame}" for frame in frames]
    kairoscope(folder, "new-model", "model", "--data", "data", *options)
    return folder


def kairoscope(cwd: Path, *args: str) -> str:
    command = [sys.executable, "-m", "kairoscope", *args]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stderr


def requests_about(place: Path) -> list[Request]:
    return [
        Request(
            id=path.stem,
            video=path,
            prompt=TASK.prompt(EVENTS),
            policy=FramePolicy(fps=4.0, min_frame_pixels=7056, max_frame_pixels=7056),
            template=partial(TASK.template, EVENTS),
        )
        for path in sorted((place / "data").glob("*.mp4"))
    ]


def answered(engine: Any, requests: Sequence[Request], decoding: Decoding = "posterior") -> Any:
    """By id, without how long it took."""
    found = {}
    for name, answer in engine.answer(requests, Sampling(trials=2, temperature=0.7), decoding):
        assert name not in found
        found[name] = (
            answer if isinstance(answer, Failed) else [replace(one, seconds=0.0) for one in answer]
        )
    return found


def over_ray(place: Path) -> Any:
    return on_cluster(str(place / "model"), EngineOptions(), RayOptions(workers=2))[0]


def test_the_answers_are_those_of_one_process(place: Path) -> None:
    requests = requests_about(place)
    requests[3] = replace(requests[3], video=place / "nowhere.mp4")
    here, there = open_engine(str(place / "model"), EngineOptions(device="cpu")), over_ray(place)
    assert (there.name, there.identity, there.policy) == (here.name, here.identity, here.policy)
    for decoding in ("posterior", "constrained"):
        found = answered(there, requests, decoding)
        assert found == answered(here, requests, decoding)
        assert isinstance(found[requests[3].id], Failed)


def dying(times: Path, count: int, template: Any, frame_times_s: Sequence[float]) -> Template:
    """Kill the worker that asks for this clip's template, the first `count` times."""
    with times.open("a") as file:
        file.write("x")
    if len(times.read_text()) <= count:
        os.kill(os.getpid(), signal.SIGKILL)
    return template(frame_times_s)  # type: ignore[no-any-return]


def test_a_worker_that_is_killed_loses_nothing(place: Path, tmp_path: Path) -> None:
    requests = requests_about(place)
    wanted = answered(open_engine(str(place / "model"), EngineOptions(device="cpu")), requests)
    kill = partial(dying, tmp_path / "times", 2, requests[5].template)
    requests[5] = replace(requests[5], template=kill)
    assert answered(over_ray(place), requests) == wanted
    assert len((tmp_path / "times").read_text()) == 3


def test_a_clip_that_takes_every_worker_down_is_the_only_one_without_an_answer(
    place: Path, tmp_path: Path
) -> None:
    requests = requests_about(place)[:6]
    wanted = answered(open_engine(str(place / "model"), EngineOptions(device="cpu")), requests)
    kill = partial(dying, tmp_path / "times", 1000, requests[2].template)
    requests[2] = replace(requests[2], template=kill)
    found = answered(over_ray(place), requests)
    bad = found.pop(requests[2].id)
    del wanted[requests[2].id]
    assert isinstance(bad, Failed)
    assert "workers died" in bad.reason
    assert found == wanted


def test_an_error_of_the_engine_rises_where_it_is_asked(place: Path) -> None:
    requests = [replace(request, template=None) for request in requests_about(place)]
    with pytest.raises(UserError, match="template"):
        answered(over_ray(place), requests)
    with pytest.raises(UserError, match="the cluster has 2 CPUs"):
        on_cluster(str(place / "model"), EngineOptions(), RayOptions(workers=3))


def rows(out: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (out / "clips.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "seal")} for row in found]


def test_the_command_writes_the_records_of_the_plain_one_also_when_it_is_killed(
    place: Path, cluster: Any
) -> None:
    asked = ["annotate", "data", "--task=data/square.toml", "--model=model", "--no-store"]
    address = cluster.get_runtime_context().gcs_address
    environment = {**os.environ, "RAY_ADDRESS": address}
    kairoscope(place, *asked, "--out=plain")
    command = [sys.executable, "-m", "kairoscope", *asked, "--out=over", "--ray", "--ray-workers=2"]
    first = subprocess.Popen(command, cwd=place, env=environment, stderr=subprocess.DEVNULL)
    while first.poll() is None and not (place / "over" / "clips.jsonl").exists():
        time.sleep(0.05)
    first.kill()
    first.wait()
    done = len((place / "over" / "clips.jsonl").read_text().splitlines())
    assert done > 0
    ended = subprocess.run(
        command, cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert rows(place / "over") == rows(place / "plain")
    for name in ("boundaries.csv", "boundaries.jsonl", "problems.json"):
        assert (place / "over" / name).read_bytes() == (place / "plain" / name).read_bytes()
