"""Without Ray: what is said, and how questions are portioned. With it: tests/ray_cluster."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from kairoscope.core import UserError
from kairoscope.models.engines import EngineOptions
from kairoscope.models.over_ray import (
    MOST_AT_ONCE,
    PORTIONS,
    RayOptions,
    connected,
    portion,
    room_on,
)


@pytest.mark.skipif(
    find_spec("ray") is not None, reason="Ray is installed here: see tests/ray_cluster"
)
def test_without_ray_it_is_said_how_to_get_it() -> None:
    with pytest.raises(UserError, match=r"pip install 'kairoscope\[ray\]'"):
        connected()


@pytest.mark.parametrize("batch", [1, 3, 8, 16, 32])
@pytest.mark.parametrize("count", [1, 5, 100, 10_000])
@pytest.mark.parametrize("workers", [1, 2, 64])
def test_portions_are_full_batches_and_many_enough(count: int, workers: int, batch: int) -> None:
    found = portion(count, workers, batch)
    assert found % batch == 0
    assert found <= max(batch, MOST_AT_ONCE)
    assert found == batch or found * workers * PORTIONS <= count + workers * PORTIONS * batch


def test_a_worker_takes_a_gpu_where_there_are_some_and_weights_to_load() -> None:
    there = {"CPU": 16.0, "GPU": 4.0}
    own = EngineOptions()
    found = room_on(there, "builtin", own, RayOptions())
    assert (found.count, found.num_gpus) == (4, 1.0)
    for spec, options in (("openai:x", own), ("builtin", EngineOptions(device="cpu"))):
        found = room_on(there, spec, options, RayOptions())
        assert (found.count, found.num_gpus) == (16, 0.0)
    assert room_on(there, "builtin", own, RayOptions(workers=2)).count == 2
    with pytest.raises(UserError, match="4 GPUs"):
        room_on(there, str(Path("model")), own, RayOptions(workers=5))
