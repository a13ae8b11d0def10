"""All benchmarks, one after the other; options as those of a single one."""

import importlib
import sys

# Decoding comes before the models: its comparison must import torchvision before transformers.
NAMES = (
    "cli_start",
    "stamping",
    "decode_to_input",
    "trials",
    "constrained",
    "store",
    "annotate",
    "signals",
    "training",
)

if __name__ == "__main__":
    for name in NAMES:
        sys.stderr.write(f"--- {name}\n")
        importlib.import_module(f"benchmarks.{name}").main(sys.argv[1:])
