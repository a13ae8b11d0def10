"""Finished runs that the tests of reports share; nobody writes into them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from evaluation_runs import SeeingModel, config_of, make_samples, run_evaluation

TEXT_THAT_IS_MARKUP = "<script>alert(1)</script>"


@pytest.fixture(scope="session")
def evaluations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `clips`, a poor run `before`, a good one `after` and one of three trials."""
    folder = tmp_path_factory.mktemp("evaluations")
    samples = make_samples(folder / "clips", 24)
    samples[5].video.unlink()
    poor = SeeingModel(samples, noise_s=0.9, name="poor", broken_text=frozenset({samples[2].id}))
    run_evaluation(folder / "before", poor, samples)
    good = SeeingModel(samples, noise_s=0.1, name="good", identity="sha256:2")
    run_evaluation(folder / "after", good, samples)
    run_evaluation(folder / "trials", poor, samples[:6], config_of(trials=3))
    return folder
