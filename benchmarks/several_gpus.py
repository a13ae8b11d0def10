"""Fine-tuning in several processes against one: losses, weights, resuming, and tokens a second.

    python -m benchmarks.several_gpus --out DIR                  # on as many GPUs as there are
    python -m benchmarks.several_gpus --out DIR --device cpu     # two processes here, small shapes
    python -m benchmarks.several_gpus --out DIR --only plan      # then: what `kairoscope plan` says, no GPU

Two parts, each under one torchrun (`--only same` or `--only speed`). `same`: `train.sft` trains a network of
30 million weights (CPU: 1 million) on clips that it decodes, once in one process and once in all of them.
`speed`: optimiser steps at the 7B shape (CPU: a small one) on the same clips in one process and in all.
Results are written as they come.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.results import COMPUTING, Goal, versions

REPOSITORY = Path(__file__).parents[1]
PARTS = ("same", "speed")
LIKE = {
    "whole": "all weights, one process",
    "adapters": "adapters, one process",
    "half": "all weights, bfloat16, one process",
    "half-adapters": "adapters, bfloat16, one process",
}
"""Runs that others are compared with."""
PLANNED = 0.15
"""How far a planned peak may be from a measured one, as a share of it."""
LIMIT_S = {"same": 180, "speed": 390}
"""For one part, on GPUs; a CPU has four times as long."""
SAME = 1e-3
"""Share of the way from the first weights that rounding may make in float32."""
FLOORS = 5.0
"""bfloat16: times the distance that another micro-batch size makes in one process."""


def launch(part: str, out: Path, device: str, processes: int) -> None:
    """Run a part; what it found is in `out` even where it did not come to its end."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(REPOSITORY / "src"), os.environ.get("PYTHONPATH")])
    )
    environment["PYTORCH_CUDA_ALLOC_CONF"] = environment["PYTORCH_ALLOC_CONF"] = (
        "expandable_segments:True"
    )
    environment.setdefault("OMP_NUM_THREADS", "1" if device == "cpu" else "8")
    if device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={processes}", "-m", f"benchmarks.several_gpus_{part}"]
    limit_s = LIMIT_S[part] * (4 if device == "cpu" else 1)
    run = subprocess.Popen(
        [*command, str(out), device], cwd=REPOSITORY, env=environment, start_new_session=True
    )
    try:
        ended = run.wait(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)  # the launcher and its processes
        sys.stderr.write(f"{part}: not done within {limit_s} s\n")
        return
    if ended:
        sys.stderr.write(f"{part}: ended with {ended}\n")


def rows_of(out: Path, part: str) -> list[dict[str, Any]]:
    """What a part has found, as far as it came."""
    file = out / f"{part}.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def goals(rows: Sequence[dict[str, Any]], speed: Sequence[dict[str, Any]]) -> list[Goal]:
    """Every float32 run is the one of a process alone; every bfloat16 run as near as rounding."""
    exact = [row["weights"] for row in rows if row["dtype"] == "float32" and not row["floor"]]
    half = [row["weights"] for row in rows if row["dtype"] == "bfloat16" and not row["floor"]]
    floor = next((r["weights"] for r in rows if r["dtype"] == "bfloat16" and r["floor"]), None)
    text = "several processes against one, float32: distance of weights over the way they went"
    found = [Goal(text=text, limit=SAME, value=max(exact, default=None))]
    if half and floor:
        text = "the same in bfloat16, over what another micro-batch size makes in one process"
        found.append(Goal(text=text, limit=FLOORS, value=max(half) / floor))
    apart = [abs(row["planned_gib"] / row["peak_gib"] - 1) for row in speed if "planned_gib" in row]
    text = "peak memory on several GPUs and one planned, furthest from measured"
    return [*found, Goal(text=text, limit=PLANNED, value=max(apart, default=None))]


def add_plans(out: Path) -> None:
    """Write into every row of `speed` what the plan says that each device will take in a step."""
    from benchmarks.several_gpus_speed import planned_gib

    rows = rows_of(out, "speed")
    for row in rows:
        if "peak_gib" not in row or "planned_gib" in row:
            continue
        row["planned_gib"] = planned_gib(row)
        print(row["title"], row["processes"], row["planned_gib"], row["peak_gib"], flush=True)
        (out / "speed.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))


def page(out: Path, *, small: bool) -> None:
    """`several_gpus.json` and `several_gpus.md` of what is there."""
    same, speed = rows_of(out, "same"), rows_of(out, "speed")
    device = next((row["device"] for row in (*same, *speed)), "no device")
    known = (row["versions"] for row in (*same, *speed) if "versions" in row)
    used = next(known, None) or versions(COMPUTING)
    whole = {
        "name": "several_gpus",
        "command": "python -m benchmarks.several_gpus",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "device": device,
        "small": small,
        "versions": used,
        "goals": [asdict(goal) | {"met": goal.met} for goal in goals(same, speed)],
        "same": same,
        "speed": speed,
    }
    (out / "several_gpus.json").write_text(json.dumps(whole, indent=1) + "\n")
    lines = ["# Fine-tuning in several processes against one", ""]
    if small:
        lines += ["**Small shapes on a CPU: the second table's figures mean nothing.**", ""]
    lines += [*same_table(same), "", *speed_table(speed), ""]
    shown = ", ".join(f"{name} {version}" for name, version in used.items())
    lines += [
        f"{device}; {shown}; {whole['date']}. Made with `python -m benchmarks.several_gpus`.",
        "",
    ]
    (out / "several_gpus.md").write_text("\n".join(lines))


def same_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Distances from the run of one process."""
    lines = [
        "Six steps of eight clips with Adam (epsilon 1e-3: else it makes steps of the full rate of gradients that",
        "are nothing but rounding). Distance of the final weights from those of the run compared with, as a share",
        "of the way that these went; largest relative difference of a logged loss and of a held-out score.",
        "",
        "| run | compared with | weights | loss | held out |",
        "|---|---|---:|---:|---:|",
    ]
    for row in rows:
        figures = f"{row['weights']:.1e} | {row['loss']:.1e} | {row['held_out']:.1e}"
        lines.append(f"| {row['title']} | {LIKE[row['like']]} | {figures} |")
    return lines


def speed_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Tokens a second of one process and of all."""
    lines = [
        "Optimiser steps over the same four clips of 7 s with 8,092 vision tokens each, tower frozen, bfloat16.",
        "Scaling: tokens a second over those of one process with the same settings. Loss: largest relative",
        "difference of a step's loss from that of one process.",
        "",
        "| what is trained | processes | shared | tokens/s | scaling | MFU | peak GiB each | planned | loss |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    alone = {row["key"]: row for row in rows if row["processes"] == 1 and "tokens_per_s" in row}
    for row in rows:
        about = f"| {row['title']} | {row['processes']} | {row['parallel']} |"
        if "failed" in row:
            lines.append(f"{about} failed: {row['failed']} ||||||")
            continue
        one = alone.get(row["key"])
        scaling = "" if one is None else f"{row['tokens_per_s'] / one['tokens_per_s']:.2f}"
        apart = "" if one is None else f"{_apart(row['losses'], one['losses']):.1e}"
        mfu = "" if row["mfu"] is None else f"{100 * row['mfu']:.0f} %"
        planned = f"{row['planned_gib']:.1f}" if "planned_gib" in row else ""
        lines.append(
            f"{about} {row['tokens_per_s']:.0f} | {scaling} | {mfu} | {row['peak_gib']:.1f} | "
            f"{planned} | {apart} |"
        )
    return lines


def _apart(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return max(abs(a - b) / b for a, b in zip(ours, theirs, strict=False))


def main() -> None:
    """Run the parts and write the page after each."""
    parser = argparse.ArgumentParser("python -m benchmarks.several_gpus")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", choices=(*PARTS, "plan"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.only == "plan":
        add_plans(options.out)
        page(options.out, small=options.device == "cpu")
        return
    for part in (options.only,) if options.only else PARTS:
        (options.out / f"{part}.jsonl").unlink(missing_ok=True)
        launch(part, options.out, options.device, options.processes)
        page(options.out, small=options.device == "cpu")
    print((options.out / "several_gpus.md").read_text())


if __name__ == "__main__":
    main()
