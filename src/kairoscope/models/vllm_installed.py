"""Whether vLLM is here, said before anything heavy is imported."""

import importlib.util

from kairoscope.core import UserError


def check_installed(spec: str) -> None:
    """Raise UserError where there is no vLLM. It is not imported."""
    if importlib.util.find_spec("vllm") is None:
        raise UserError(
            f"--model {spec}: vLLM is not installed here; on a machine with a GPU: pip install "
            "'kairoscope[vllm]' (docs/engines.md says how on a CPU); or leave out vllm: to have the same "
            "weights without it"
        )
