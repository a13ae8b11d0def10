"""What asking a server took: tokens, tries, and what they cost at the prices the user gives."""

from dataclasses import asdict, dataclass
from typing import Any

from kairoscope.models.server.options import ServerOptions

MILLION = 1_000_000


@dataclass(slots=True)
class Usage:
    """Sums over one session; a run may have several."""

    prompt_tokens: int = 0
    """As the server counts them: once for all samples of a request."""
    completion_tokens: int = 0
    requests: int = 0
    """All of them: answers, tries again, and the few that find out what the server can do."""
    retries: int = 0
    sent: str = ""
    """How clips reached the server; empty before the first answer."""

    def cost(self, options: ServerOptions) -> float | None:
        """In the currency of the prices; None where there are none."""
        if options.price_prompt is None and options.price_completion is None:
            return None
        return (
            self.prompt_tokens * (options.price_prompt or 0.0)
            + self.completion_tokens * (options.price_completion or 0.0)
        ) / MILLION

    def row(self, options: ServerOptions) -> dict[str, Any]:
        """As plain values, with the prices that the cost is counted with."""
        prices = {"prompt": options.price_prompt, "completion": options.price_completion}
        return {**asdict(self), "prices_per_million": prices, "cost": self.cost(options)}
