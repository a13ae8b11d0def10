"""Fine-tuning steps at the true 7B shape on one GPU, beside `transformers`' Trainer with SDPA.

    python -m benchmarks.training_gpu --out DIR [--smoke] [--only KEY ...] [--minutes 8]

Every setting runs in a process of its own, which is started, and imports, while the one before it
measures. Results are written after each; one that fails is a row that says why.
"""

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import Goal

REPOSITORY = Path(__file__).parents[1]
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}
"""Dense bfloat16, by the vendor's datasheets."""
SETTING_LIMIT_S = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way of training."""

    key: str
    title: str
    kind: str
    """`lora`, or `full`: the language model; the vision tower is frozen in both."""
    engine: str = "ours"
    data: str = "long"
    """`long`: two clips of 7 s a step. `mixed`: eight of 1 to 7 s."""
    cached: bool = False
    packing: bool = False
    compile: bool = False
    checkpointing: bool = True
    budget: float = 1.0
    """Compiled: share of the activations that is kept."""
    pure: bool = False
    """Trainer: weights and optimiser in bfloat16, where float32 does not fit."""


SETTINGS = (
    Setting(key="trainer_lora", title="Trainer, adapters", kind="lora", engine="trainer"),
    Setting(key="lora", title="ours, adapters", kind="lora"),
    Setting(
        key="lora_fast",
        title="ours, adapters, compiled, activations kept",
        kind="lora",
        compile=True,
        checkpointing=False,
    ),
    Setting(
        key="lora_cached",
        title="ours, adapters, compiled, activations kept, features cached",
        kind="lora",
        compile=True,
        checkpointing=False,
        cached=True,
    ),
    Setting(
        key="trainer_full",
        title="Trainer, language model, all in bfloat16",
        kind="full",
        engine="trainer",
        pure=True,
    ),
    Setting(key="full", title="ours, language model", kind="full"),
    Setting(
        key="full_compiled",
        title="ours, language model, compiled, 40 % of the activations kept",
        kind="full",
        compile=True,
        checkpointing=False,
        budget=0.4,
    ),
    Setting(
        key="full_cached",
        title="ours, language model, compiled, 40 % of the activations kept, features cached",
        kind="full",
        compile=True,
        checkpointing=False,
        budget=0.4,
        cached=True,
    ),
    Setting(
        key="trainer_mixed",
        title="Trainer, adapters, mixed lengths",
        kind="lora",
        engine="trainer",
        data="mixed",
    ),
    Setting(key="mixed", title="ours, adapters, mixed lengths", kind="lora", data="mixed"),
    Setting(
        key="mixed_packed",
        title="ours, adapters, mixed lengths, packed",
        kind="lora",
        data="mixed",
        packing=True,
    ),
    Setting(
        key="mixed_packed_cached",
        title="ours, adapters, mixed lengths, packed, features cached",
        kind="lora",
        data="mixed",
        packing=True,
        cached=True,
    ),
    Setting(
        key="mixed_packed_fast",
        title="ours, adapters, mixed lengths, packed, compiled, activations kept",
        kind="lora",
        data="mixed",
        packing=True,
        compile=True,
        checkpointing=False,
    ),
    Setting(
        key="full_checkpointed",
        title="ours, language model, compiled, checkpointed",
        kind="full",
        compile=True,
    ),
)


NOTES = (
    "Qwen2.5-VL-7B's published shape, random weights; clips of noise at 8 frames a second, 56 frames of "
    "476 x 476 in 7 s: 8,092 vision tokens and about 160 of text. A step is forward, backward and AdamW over "
    "`samples` clips; times are of the median of three steps after two (Trainer: the faster of two after "
    "one). Frames are in memory as bytes; nothing is decoded.",
    "Adapters of rank 16 on all linear layers of the language model, or the whole language model with "
    "weights and optimiser in float32; the vision tower is frozen in both. The Trainer's full row has "
    "everything in bfloat16, because float32 does not fit beside its logits.",
    "MFU is what the step cannot do without (forward, gradients of activations, of weights where they are "
    "trained, causal attention at half, the vocabulary at the answers alone, the tower's forward pass "
    "unless its features are kept) over the vendor's 989 TFLOP/s; what is computed twice to save memory does "
    "not count.",
    "The Trainer (SDPA, gradient checkpointing, as its users set it up) is slow because checkpointing makes it run "
    "the frozen tower backwards, too, one small call for each of 19,740 windows a clip: see docs/log.md. With flash-attn installed it would not call "
    "window by window; that was not measured.",
)


class Worker:
    """A process that imports at once and measures when it is told to."""

    def __init__(self, setting: Setting, folder: Path, *, smoke: bool) -> None:
        self.setting = setting
        self.result = folder / "settings" / f"{setting.key}.json"
        self.result.parent.mkdir(parents=True, exist_ok=True)
        self.result.unlink(missing_ok=True)
        code = "from benchmarks import training_gpu_setting as s; import sys; s.main(sys.argv[1:])"
        command = [sys.executable, "-c", code, json.dumps(asdict(setting)), str(self.result)]
        environment = dict(os.environ)
        environment["PYTORCH_ALLOC_CONF"] = "expandable_segments:True"
        environment["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(REPOSITORY / "src"), os.environ.get("PYTHONPATH")])
        )
        self.log = (folder / "settings" / f"{setting.key}.log").open("w")
        self.process = subprocess.Popen(
            [*command, *(["--smoke"] if smoke else [])],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def measure(self, limit_s: float) -> dict[str, Any]:
        """Let it go and wait for its row."""
        started = time.perf_counter()
        row: dict[str, Any] = asdict(self.setting)
        try:
            self.process.communicate("go\n", timeout=limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            row["failed"] = f"took more than {limit_s:.0f} s"
        self.log.close()
        if self.result.exists():
            row |= json.loads(self.result.read_text())
            row.pop("failed", None) if "tokens_per_s" in row else None
        elif "failed" not in row:
            row["failed"] = f"its process ended with {self.process.returncode}; see its log"
        return row | {"whole_s": time.perf_counter() - started}

    def drop(self) -> None:
        """End it before it has done anything."""
        self.process.kill()
        self.process.wait()
        self.log.close()


def measure_all(
    settings: Sequence[Setting], folder: Path, minutes: float, *, smoke: bool
) -> list[dict[str, Any]]:
    """All settings in turn; the results so far are on disk after each."""
    began = time.perf_counter()
    rows: list[dict[str, Any]] = []
    following = Worker(settings[0], folder, smoke=smoke) if settings else None
    for number, setting in enumerate(settings):
        worker, following = following, None
        assert worker is not None
        left_s = minutes * 60 - (time.perf_counter() - began)
        if number + 1 < len(settings):
            following = Worker(settings[number + 1], folder, smoke=smoke)
        if left_s < 20:
            worker.drop()
            rows.append(asdict(setting) | {"failed": "not begun: the time was up"})
        else:
            sys.stderr.write(f"{setting.key} ...\n")
            rows.append(worker.measure(min(SETTING_LIMIT_S, left_s)))
        sys.stderr.write(f"    {one_line(rows[-1])}\n")
        write(rows, folder, smoke=smoke)
    return rows


def one_line(row: dict[str, Any]) -> str:
    """A row for the screen."""
    if "failed" in row:
        return f"failed: {row['failed']}"
    mfu = "" if row.get("mfu") is None else f", MFU {100 * row['mfu']:.1f} %"
    return f"{row['tokens_per_s']:.0f} tokens/s{mfu}, peak {row['peak_gib']:.1f} GiB"


def ratio(rows: Sequence[dict[str, Any]], above: str, below: str) -> float | None:
    """Tokens a second of one setting over another's; None where either is missing."""
    found = {row["key"]: float(row["tokens_per_s"]) for row in rows if "tokens_per_s" in row}
    return found[above] / found[below] if above in found and below in found else None


def best(rows: Sequence[dict[str, Any]], keys: Sequence[str], figure: str) -> float | None:
    """The largest of a figure among settings."""
    values = [row[figure] for row in rows if row["key"] in keys and row.get(figure) is not None]
    return max(values, default=None)


def goals(rows: Sequence[dict[str, Any]]) -> list[tuple[str, float, float | None]]:
    """(what was promised, least that is good, measured)."""
    uncached = ("lora", "lora_fast")
    full = ("full", "full_compiled", "full_checkpointed")
    found: list[tuple[str, float, float | None]] = [
        ("MFU, adapters, uncached", 0.40, best(rows, uncached, "mfu")),
        ("MFU, language model, uncached", 0.40, best(rows, full, "mfu")),
        ("MFU, adapters, cached", 0.40, best(rows, ("lora_cached",), "mfu")),
        ("MFU, language model, cached", 0.40, best(rows, ("full_cached",), "mfu")),
    ]
    for keys, other, least, text in (
        (uncached, "trainer_lora", 1.5, "adapters, uncached"),
        (full, "trainer_full", 1.5, "language model, uncached"),
        (("lora_cached",), "trainer_lora", 3.0, "adapters, cached"),
        (("full_cached",), "trainer_full", 3.0, "language model, cached"),
        (("mixed_packed", "mixed_packed_fast"), "trainer_mixed", 1.5, "mixed lengths, packed"),
    ):
        values = [value for key in keys if (value := ratio(rows, key, other)) is not None]
        found.append((f"tokens/s over Trainer, {text}", least, max(values, default=None)))
    found.append(("packed over padded", 1.0, ratio(rows, "mixed_packed", "mixed")))
    return found


def write(
    rows: Sequence[dict[str, Any]], folder: Path, *, smoke: bool, notes: Sequence[str] = ()
) -> None:
    """`training_gpu.json` and `training_gpu.md`; `notes` are added to the usual ones."""
    about = {
        "command": "python -m benchmarks.training_gpu",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("torch", "transformers", "peft", "accelerate", "numpy")
        },
        "smoke": smoke,
    }
    promised = [
        Goal(text=text, limit=least, value=value, at_least=True)
        for text, least, value in goals(rows)
    ]
    listed = [asdict(goal) | {"met": goal.met} for goal in promised]
    whole: dict[str, Any] = {"name": "training_gpu", **about, "goals": listed, "settings": rows}
    text = json.dumps(whole, indent=1)
    (folder / "training_gpu.json").write_text(text + "\n")
    lines = ["# Fine-tuning at the 7B shape on one GPU", ""]
    if smoke:
        lines += ["**A smoke test at a small shape: its figures mean nothing.**", ""]
    lines += [
        "| setting | tokens/s | vision tokens/s | MFU | s a step | peak GiB | samples | loss |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        if "failed" in row:
            lines.append(f"| {row['title']} | failed: {row['failed']} |||||||")
            continue
        mfu = "" if row["mfu"] is None else f"{100 * row['mfu']:.1f} %"
        lines.append(
            f"| {row['title']} | {row['tokens_per_s']:.0f} | {row['vision_tokens_per_s']:.0f} | "
            f"{mfu} | {row['step_s']:.3f} | {row['peak_gib']:.1f} | {row['samples']} | "
            f"{row['loss']:.3f} |"
        )
    lines += ["", "| goal | at least | measured |", "|---|---:|---:|"]
    for text, least, value in goals(rows):
        shown = "not measured" if value is None else f"{value:.2f}"
        lines.append(f"| {text} | {least:.2f} | {shown} |")
    lines += ["", *(f"- {note}" for note in (*NOTES, *notes))]
    device = next((row["device"] for row in rows if "device" in row), "no device")
    shown = ", ".join(f"{name} {version}" for name, version in about["versions"].items())  # type: ignore[attr-defined]
    lines += ["", f"{device}; {shown}; {about['date']}.", ""]
    (folder / "training_gpu.md").write_text("\n".join(lines))


def main(argv: Sequence[str]) -> None:
    """Measure and write."""
    keys = [setting.key for setting in SETTINGS]
    parser = argparse.ArgumentParser("python -m benchmarks.training_gpu")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--smoke", action="store_true", help="a small shape, also on a CPU")
    parser.add_argument("--only", nargs="+", choices=keys, help="settings (default: all)")
    parser.add_argument("--minutes", type=float, default=8.0, help="begin nothing after that")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    wanted = [s for s in SETTINGS if options.only is None or s.key in options.only]
    measure_all(wanted, options.out, options.minutes, smoke=options.smoke)
    sys.stdout.write((options.out / "training_gpu.md").read_text())


if __name__ == "__main__":
    main(sys.argv[1:])
