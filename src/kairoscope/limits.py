"""Which numbers make sense in settings, by the name of the field."""

import math
from collections.abc import Mapping
from typing import Any

from kairoscope.core import UserError

MOST_SEED = 2**32 - 1
"""What every source of randomness takes."""
LIMITS: Mapping[str, tuple[float, float]] = {
    "fps": (0.1, 60),
    "max_frames": (2, math.inf),
    "total_pixels": (1, math.inf),
    "min_frame_pixels": (1, math.inf),
    "max_frame_pixels": (1, math.inf),
    "stamp_height": (0.05, 0.5),
    "clock_scale": (1e-3, 1e3),
    "trials": (1, 1000),
    "first_trial": (0, 1_000_000),
    "temperature": (0, 10),
    "top_p": (1e-6, 1),
    "max_new_tokens": (1, 100_000),
    "bootstrap_draws": (10, 1_000_000),
    "epochs": (1e-9, 1e6),
    "max_steps": (1, math.inf),
    "batch_size": (1, 65_536),
    "micro_batch_size": (1, 65_536),
    "pack_tokens": (1, math.inf),
    "kept_activations": (0, 1),
    "learning_rate": (0, 100),
    "vision_learning_rate": (0, 100),
    "projector_learning_rate": (0, 100),
    "min_learning_rate_ratio": (0, 1),
    "decay_share": (0, 1),
    "warmup_share": (0, 1),
    "warmup_steps": (0, math.inf),
    "weight_decay": (0, 100),
    "betas": (0, 1 - 1e-9),
    "epsilon": (1e-30, 1),
    "max_grad_norm": (1e-9, math.inf),
    "ema_decay": (0, 1 - 1e-9),
    "ema_every": (1, math.inf),
    "rollouts_per_step": (1, 1_000_000),
    "group_size": (2, 65_536),
    "prompts_at_once": (1, 65_536),
    "inner_updates": (1, 1000),
    "epsilon_low": (0, 1),
    "epsilon_high": (0, 100),
    "dual_clip": (1, math.inf),
    "kl_beta": (0, 1e6),
    "policy_temperature": (1e-3, 10),
    "shared_prefix_tokens": (1, math.inf),
    "dense_weight": (0, 1e6),
    "max_tokens": (1, math.inf),
    "eval_every": (1, math.inf),
    "patience": (1, math.inf),
    "min_improvement": (0, math.inf),
    "save_every": (1, math.inf),
    "keep_checkpoints": (1, math.inf),
    "seed": (0, MOST_SEED),
    "rank": (1, 4096),
    "alpha": (1, 65_536),
    "dropout": (0, 1),
    "vision_depth": (1, 256),
    "vision_width": (8, 65_536),
    "vision_heads": (1, 1024),
    "text_depth": (1, 256),
    "text_width": (8, 65_536),
    "text_heads": (1, 1024),
    "text_kv_heads": (1, 1024),
}
"""Field of any settings -> least and largest number that makes sense."""


def check_limits(field: str, value: Any, where: str) -> None:
    """Refuse a number, or a tuple with one, that is out of the range of its field.

    Args:
        field: name of the setting; one without limits takes any finite number.
        value: anything; what is no number is not looked at.
        where: the file or option that it comes from.

    Raises:
        UserError: it is out of range.
    """
    least, most = LIMITS.get(field, (-math.inf, math.inf))
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        if not least <= number <= most or not is_finite(number):
            top = "or more" if most == math.inf else f"to {_shown(most)}"
            raise UserError(f"{where}: {field} is {_shown(number)}; allowed: {_shown(least)} {top}")


def _shown(number: float) -> str:
    """A whole number in full, as far as a line reaches."""
    text = str(number) if isinstance(number, int) else f"{number:g}"
    return text if len(text) <= 40 else f"{text[:37]}..."


def is_finite(number: float) -> bool:
    """As `math.isfinite`, also for whole numbers that are too large for it."""
    return isinstance(number, int) or math.isfinite(number)
