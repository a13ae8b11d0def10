"""Ten sampled answers to a clip at the 7B shape: from one prefill, as requests of their own, and by transformers."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.qwen7b import EVENTS, FULL, QUESTION, SMOKE, Shape, build
from benchmarks.results import Goal, Result, Table, announce, arguments, number, write
from kairoscope.core import FramePolicy, Request, Sampling
from kairoscope.models.chat import encode, video_inputs
from kairoscope.models.checkpoint import Checkpoint, best_device
from kairoscope.models.in_process import InProcessModel
from kairoscope.recipes.subtask_times import template
from kairoscope.simulate.driving import generate_drives
from kairoscope.video.frames import load_frames

TRIALS, FREE_TOKENS, TEMPERATURE = 10, 64, 0.6
POLICY = FramePolicy(fps=8.0, min_frame_pixels=4 * 28 * 28, clock_scale=1.0)
WAYS = {
    "constrained_one": ("constrained, one trial", 1),
    "constrained_ten": ("constrained, ten trials from one prefill", TRIALS),
    "constrained_requests": ("constrained, ten requests of one trial", TRIALS),
    "posterior": ("posterior: every distribution, exactly", 1),
    "free_one": (f"free, one trial of {FREE_TOKENS} tokens", 1),
    "free_ten": ("free, ten trials from one prefill", TRIALS),
    "transformers": ("free, ten calls of transformers' generate (SDPA)", TRIALS),
}


def requests(clips: Sequence[Path], copies: int) -> list[Request]:
    """The same three events asked for in every clip."""
    return [
        Request(
            id=f"{clip.stem}-{copy}",
            video=clip,
            prompt=QUESTION,
            policy=POLICY,
            template=lambda times_s: template(EVENTS, times_s),
        )
        for clip in clips
        for copy in range(copies)
    ]


def jobs(shape: Shape, device: str, clips: Sequence[Path]) -> dict[str, Callable[[], int]]:
    """Way -> what answers all clips once and returns the number of answers."""
    dtype = torch.bfloat16 if device != "cpu" else torch.float32
    network, encoder = build(shape, device, dtype, fast=True)
    network.eval()
    ours = InProcessModel(
        Checkpoint(name="7B", network=network, encoder=encoder, policy=POLICY, identity="random")
    )
    plain, _ = build(shape, device, dtype, fast=False)
    plain.eval()

    def ask(decoding: Any, trials: int, copies: int = 1) -> Callable[[], int]:
        sampling = Sampling(trials=trials, temperature=TEMPERATURE, max_new_tokens=FREE_TOKENS)

        def job() -> int:
            answers = ours.answer(requests(clips, copies), sampling, decoding)
            return sum(len(found) for _, found in answers if isinstance(found, tuple))

        return job

    return {
        "constrained_one": ask("constrained", 1),
        "constrained_ten": ask("constrained", TRIALS),
        "constrained_requests": ask("constrained", 1, TRIALS),
        "posterior": ask("posterior", 1),
        "free_one": ask("free", 1),
        "free_ten": ask("free", TRIALS),
        "transformers": lambda: generate(plain, ours.checkpoint, clips),
    }


@torch.inference_mode()
def generate(network: Any, checkpoint: Checkpoint, clips: Sequence[Path]) -> int:
    """The recipes' way with transformers: a call a trial, clip decoded anew, our own input."""
    encoder, num_answers = checkpoint.encoder, 0
    for clip in clips:
        for trial in range(TRIALS):
            frames = load_frames(clip, POLICY, encoder.geometry)
            prompt = encode(encoder, QUESTION, frames.pixels_THWC, frames.times_s, POLICY)
            torch.manual_seed(trial)
            ids = torch.tensor([prompt.token_ids], device=network.device)
            kinds = torch.zeros_like(ids)
            kinds[ids == network.config.video_token_id] = 2
            network.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                mm_token_type_ids=kinds,
                do_sample=True,
                temperature=TEMPERATURE,
                top_k=0,
                min_new_tokens=FREE_TOKENS,
                max_new_tokens=FREE_TOKENS,
                pad_token_id=0,
                **video_inputs(encoder, [prompt], network.device),
            )
            num_answers += 1
    return num_answers


def measured(
    todo: dict[str, Callable[[], int]], rounds: int, device: str
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Seconds of every way in every round, in turns, and its answers."""
    seconds: dict[str, list[float]] = {key: [] for key in todo}
    answers = {}
    for number_of in range(rounds + 1):
        for key, job in todo.items():
            announce(f"round {number_of}: {key}")
            if device != "cpu":
                torch.cuda.synchronize()
            started = time.perf_counter()
            answers[key] = job()
            if device != "cpu":
                torch.cuda.synchronize()
            if number_of:  # the first round warms up
                seconds[key].append(time.perf_counter() - started)
    return seconds, answers


def result(
    seconds: dict[str, list[float]], answers: dict[str, int], tokens: int, num_clips: int
) -> Result:
    """Table and goals."""
    typical = {key: median(values) for key, values in seconds.items()}
    rate = {key: answers[key] / typical[key] for key in typical}
    rows = tuple(
        (
            title,
            number(typical[key] / num_clips),
            number(rate[key]),
            number(rate[key] / rate["transformers"]),
        )
        for key, (title, _) in WAYS.items()
    )
    ratio = typical["constrained_ten"] / typical["constrained_one"]
    peak = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else None
    return Result(
        name="answering_gpu",
        title="Answers at the 7B shape",
        what=(
            f"{num_clips} clips of about {tokens} vision tokens, three events each, random weights "
            "in bfloat16, clips decoded anew in every request, everything in one process, in turns."
        ),
        tables=(
            Table(
                title="Seconds and answers",
                columns=("way", "s a clip", "answers a second", "times transformers"),
                rows=rows,
            ),
        ),
        goals=(
            Goal(
                text="7B: ten constrained trials, wall time, ratio to one", limit=2.5, value=ratio
            ),
            Goal(
                text="7B: answers a second, ten from one prefill over transformers' way",
                limit=3.0,
                value=rate["free_ten"] / rate["transformers"],
                at_least=True,
            ),
        ),
        notes=((f"Peak memory with both networks: {peak:.1f} GiB.",) if peak is not None else ()),
        packages=("transformers",),
        data={"seconds": seconds, "answers": answers, "vision_tokens": tokens},
    )


def main(argv: list[str]) -> None:
    """Measure and write."""
    options = arguments("answering_gpu", __doc__, argv, default_rounds=3)
    device = best_device()
    num_clips = 1 if options.smoke else 2
    side = 112 if options.smoke else 512
    folder = options.out / "answering-clips"
    generate_drives(folder, num_clips=num_clips, seed=1, width_px=side, height_px=side, fps=16.0)
    clips = sorted(folder.rglob("*.mp4"))[:num_clips]
    shape = SMOKE if options.smoke else FULL
    todo = jobs(shape, device, clips)
    seconds, answers = measured(todo, options.rounds, device)
    geometry = build(SMOKE, "cpu", torch.float32, fast=True)[1].geometry
    frames = load_frames(clips[0], POLICY, geometry)
    times, height, width, _ = frames.pixels_THWC.shape
    tokens = -(-times // 2) * (height // 28) * (width // 28)
    write(result(seconds, answers, tokens, len(clips)), options)


if __name__ == "__main__":
    main(sys.argv[1:])
