"""A model around a model says of itself what the one behind it says, through any number of them."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kairoscope.core import FramePolicy, Sampling
from kairoscope.recipes.subtask_times import TASK
from kairoscope.refinement import Refined
from kairoscope.store import AnswerStore, Stored
from kairoscope.trials import Median
from kairoscope.wrapping import Wrapping


class Engine:
    """A model that knows of a policy, and of something that `core.Model` does not have."""

    name = "engine"
    identity = "abc"
    policy = FramePolicy(fps=3.0)
    usage = ("tokens", 12)

    def answer(self, *_: Any) -> Iterator[Any]:
        """Never asked here."""
        raise NotImplementedError


class Plain:
    """A model that says no more than it must."""

    name = identity = "plain"
    answer = Engine.answer


@pytest.fixture(params=["refined", "median", "stored", "all"])
def wrapped(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Each of them around an engine, and all three."""
    with AnswerStore.open(tmp_path / "answers.sqlite") as store:
        ways: dict[str, Any] = {
            "refined": lambda model: Refined(model, TASK),
            "median": lambda model: Median(model, TASK, Sampling(trials=3, temperature=0.7)),
            "stored": lambda model: Stored(model, store),
        }
        ways["all"] = lambda model: ways["median"](ways["refined"](ways["stored"](model)))
        yield ways[request.param]


def test_it_says_what_the_model_behind_it_says(wrapped: Any) -> None:
    model = wrapped(Engine())
    assert isinstance(model, Wrapping)
    assert (model.name, model.policy, model.usage) == ("engine", Engine.policy, Engine.usage)
    assert model.identity.startswith("abc")
    assert not hasattr(model, "nothing_of_the_kind")


def test_a_model_without_a_policy_has_none_around_it_either(wrapped: Any) -> None:
    assert wrapped(Plain()).policy is None


def test_what_changes_answers_is_in_the_identity(tmp_path: Path) -> None:
    model, sampling = Engine(), Sampling(trials=3, temperature=0.7)
    with AnswerStore.open(tmp_path / "answers.sqlite") as store:
        assert Stored(model, store).identity == "abc"
        told = {Refined(model, TASK).identity, Median(model, TASK, sampling).identity}
        told |= {Median(Refined(model, TASK), TASK, sampling).identity, "abc"}
    assert len(told) == 4


def test_a_copy_is_made_without_asking_the_model_behind_it() -> None:
    model = Refined(Engine(), TASK)
    assert copy.copy(model).model is model.model
    with pytest.raises(AttributeError, match="model"):
        _ = Refined.__new__(Refined).model
