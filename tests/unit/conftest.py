"""Fixtures of tests that run a tiny network."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """See `tiny_models.make_tokenizer`."""
    from tiny_models import make_tokenizer

    return make_tokenizer()


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Six labelled clips of 1.2 to 2.6 s."""
    from tiny_models import make_samples

    folder: Path = tmp_path_factory.mktemp("clips")
    return make_samples(folder, 6)
