"""Reinforcement learning whose answers a real vLLM draws, with the weights of every step."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from vllm_server import NAME, Server, proxy

ROOT = Path(__file__).parents[2]
CLIPS, HELD_OUT = (ROOT / "examples/press" / part for part in ("train", "test"))
SETTINGS = (
    *("decoding=free", "max_steps=4", "rollouts_per_step=8", "group_size=4", "save_every=1"),
    *("learning_rate=1e-4", "max_new_tokens=80", "freeze_vision=true", "eval_every=100"),
)


def command(url: str, out: Path, *more: str) -> list[str]:
    words = ["grpo", "subtask-times", "--data", str(CLIPS), "--held-out", str(HELD_OUT)]
    words += ["--out", str(out), "--rollouts", f"openai:{NAME}", "--base-url", url, *more]
    words += [word for setting in SETTINGS for word in ("--set", setting)]
    return [sys.executable, "-m", "kairoscope", *words]


def steps_of(out: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]
    return [row for row in rows if row["kind"] == "step"]


def finished(url: str, out: Path) -> None:
    ended = subprocess.run(command(url, out), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def said(ended: subprocess.CompletedProcess[str]) -> str:
    return " ".join(ended.stderr.split())


def test_the_server_has_the_weights_of_every_step_or_is_refused(
    server: Server, tmp_path: Path
) -> None:
    """Whole, killed in the middle and gone on with, and with a server that keeps what it has."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finished(server.url, whole)
    rows = steps_of(whole)
    assert len(rows) == 4
    for row in rows:
        assert row["server_gap"] < 1e-3
        assert row["sampler_gap"] < 1e-3
        assert row["truncated_share"] == 0
    assert any(row["grad_norm"] > 0 for row in rows)
    assert not (whole / "served").exists()

    def kill_after_a_step() -> None:
        end = time.monotonic() + 200
        while time.monotonic() < end and not list(cut.glob("state/step_*2")):
            time.sleep(0.02)
        server.kill()

    killer = threading.Thread(target=kill_after_a_step)
    killer.start()
    ended = subprocess.run(command(server.url, cut), capture_output=True, text=True, check=False)
    killer.join()
    assert ended.returncode == 2
    assert "the server does not answer any more in step" in said(ended)
    server.start()
    finished(server.url, cut)
    one, other = (load_file(out / "state/step_0000004/state.safetensors") for out in (whole, cut))
    # Another process's memory lies otherwise: sums of the same numbers may differ in their last bit.
    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-12)

    def keep(handler: Any, number: int, content: bytes) -> bool:
        if handler.path != "/collective_rpc":
            return False
        handler.send_response(200)
        handler.send_header("content-length", "2")
        handler.end_headers()
        handler.wfile.write(b"{}")
        return True

    # It has the weights of the last step, and from here on what it is told is lost on it.
    with proxy(server, keep, ahead=True) as url:
        ended = subprocess.run(
            command(url, tmp_path / "stale"), capture_output=True, text=True, check=False
        )
    assert ended.returncode == 2
    assert "the server does not have the trainer's weights" in said(ended)
