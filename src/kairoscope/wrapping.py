"""A model around a model: what it does not say of itself is what the one behind it says."""

from typing import Any

from kairoscope.core import FramePolicy, Model


class Wrapping:
    """What `Refined`, `Median` and `Stored` have in common; `answer` is their own.

    Such a model can be asked for whatever the one behind it can say of itself, such as what was used,
    through as many of them as there are.
    """

    def __init__(self, model: Model) -> None:
        """Around `model`."""
        self.model = model

    def __getattr__(self, name: str) -> Any:
        """What the model behind it has."""
        if name == "model":  # not there yet, as while it is unpickled
            raise AttributeError(name)
        return getattr(self.model, name)

    @property
    def name(self) -> str:
        """What the user called it."""
        return self.model.name

    @property
    def identity(self) -> str:
        """Of the model behind it. One that changes its answers adds how."""
        return self.model.identity

    @property
    def policy(self) -> FramePolicy | None:
        """Frames that the model was trained on, where it says so."""
        found: FramePolicy | None = getattr(self.model, "policy", None)
        return found
