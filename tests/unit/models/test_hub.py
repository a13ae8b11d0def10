"""A model on the hub: fetched, kept, used without a network, and refused within seconds."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from small_hub import COMMIT, Hub, serving
from tiny_models import POLICY, make_checkpoint

from kairoscope.models.checkpoint import CLASSES, save_checkpoint
from kairoscope.models.names import FAMILIES

NAME = "some/tiny-model"
NOWHERE = "http://127.0.0.1:9"
"""A port at which nobody listens."""


@dataclass
class Machine:
    """A machine with a cache of its own."""

    home: Path

    def python(self, code: str, endpoint: str, **variables: str) -> tuple[str, str, float]:
        """(standard output, standard error, seconds) of a process."""
        started = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-c", f"from kairoscope.models.names import located\n{code}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            env={
                **{key: value for key, value in os.environ.items() if not key.startswith("HF_")},
                "HF_HOME": str(self.home),
                "HF_ENDPOINT": endpoint,
                "OMP_NUM_THREADS": "1",
                **variables,
            },
        )
        return ended.stdout.strip(), ended.stderr, time.monotonic() - started

    def located(self, endpoint: str, *, small: bool = False, **variables: str) -> Path:
        """Folder of the model, which must be found."""
        out, err, _ = self.python(f"print(located({NAME!r}, small={small}))", endpoint, **variables)
        assert out, err
        return Path(out)

    def refused(self, endpoint: str, **variables: str) -> tuple[str, float]:
        """(what the user is told, seconds)."""
        code = (
            "from kairoscope.core import UserError\n"
            f"try:\n    print('found', located({NAME!r}))\n"
            "except UserError as error:\n    print(error)\n"
        )
        out, err, seconds = self.python(code, endpoint, **variables)
        assert out.startswith(f"--model {NAME}: "), out + err
        assert "\n" not in out
        assert "Traceback" not in err
        return out, seconds


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "home")


@pytest.fixture(scope="module")
def folder(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, with a file beside it that nobody needs."""
    made = tmp_path_factory.mktemp("checkpoint")
    checkpoint = make_checkpoint(tokenizer, "qwen2_5_vl")
    save_checkpoint(checkpoint.network, tokenizer, POLICY, made, notes={"sft": {"epochs": 7.0}})
    (made / "picture.png").write_bytes(b"x" * 100)
    return made


def test_what_is_fetched_is_used_without_a_network(folder: Path, machine: Machine) -> None:
    with serving(Hub({NAME: folder})) as hub:
        found = machine.located(hub.url)
        asked = len(hub.asked)
        assert machine.located(hub.url) == found
        assert not any("resolve" in path for path in hub.asked[asked:])  # nothing is fetched again
    names = {file.name for file in folder.iterdir()} - {"picture.png"}
    assert {file.name for file in found.iterdir()} == names
    for name in names:
        assert (found / name).read_bytes() == (folder / name).read_bytes()
    assert COMMIT in found.parts
    assert machine.located(NOWHERE) == found
    assert machine.located(NOWHERE, HF_HUB_OFFLINE="1") == found


def test_it_is_the_model_that_it_is_in_a_folder(folder: Path, machine: Machine) -> None:
    code = (
        "from kairoscope.models.frame_input import frame_input\n"
        "from kairoscope.models.load import LazyCheckpoint, described\n"
        "from kairoscope.recipes import get_recipe\n"
        "from kairoscope.recipes.training import sft_config_for\n"
        "from pathlib import Path\n"
        f"engine = LazyCheckpoint({NAME!r})\n"
        f"assert (engine.identity, engine.policy) == described(Path({str(folder)!r}))\n"
        f"assert frame_input({NAME!r})[0] == engine.policy\n"
        f"assert sft_config_for(get_recipe('subtask-times'), {NAME!r}, []).epochs == 7.0\n"
        "print(engine.name)\n"
    )
    with serving(Hub({NAME: folder})) as hub:
        out, err, _ = machine.python(code, hub.url)
    assert out == NAME, err


def test_a_part_of_a_model_is_no_model(folder: Path, machine: Machine) -> None:
    with serving(Hub({NAME: folder})) as hub:
        found = machine.located(hub.url, small=True)
        assert sorted(file.name for file in found.iterdir()) == ["config.json", "kairoscope.json"]
    assert machine.located(NOWHERE, small=True) == found
    told, _ = machine.refused(NOWHERE)
    assert "no whole copy" in told


def test_a_download_that_broke_off_goes_on(folder: Path, machine: Machine) -> None:
    with serving(Hub({NAME: folder}, cut_after=3000)) as hub:
        told, _ = machine.refused(hub.url, HF_HUB_DOWNLOAD_TIMEOUT="1")
        assert "could not be fetched to the end" in told
        assert "run the same command again" in told
        hub.cut_after = None
        found = machine.located(hub.url)
    weights = "model.safetensors"
    assert (found / weights).read_bytes() == (folder / weights).read_bytes()


def test_without_a_network_it_is_said_at_once(machine: Machine) -> None:
    told, seconds = machine.refused(NOWHERE)
    assert "the hub could not be asked within 3 s" in told
    assert "give the path of a checkpoint folder, or connect to a network" in told
    assert seconds < 3
    told, _ = machine.refused(NOWHERE, HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE forbids to ask the hub" in told


def test_a_hub_that_never_answers_is_not_waited_for(machine: Machine) -> None:
    with serving(Hub(dripping=True)) as hub:
        told, seconds = machine.refused(hub.url, HF_HUB_ETAG_TIMEOUT="1")
    assert "could not be asked within 1 s (no answer)" in told
    assert seconds < 4


def test_what_is_not_there_or_not_for_everybody(folder: Path, machine: Machine) -> None:
    with serving(Hub()) as hub:
        assert "no such model on the hub" in machine.refused(hub.url)[0]
    with serving(Hub({NAME: folder}, gated=True)) as hub:
        assert "its owners let only some read it" in machine.refused(hub.url)[0]


def test_the_families_are_those_that_can_be_loaded() -> None:
    assert set(FAMILIES) == set(CLASSES)
