"""Record demonstrations with a scripted policy, as MimicGen reads them. Run where it can be imported.

    python -m benchmarks.mimicgen.record stack OUT.hdf5 --demos 13 --seed 1

Attempts that fail are thrown away, as a person who records them would. `datagen_info`, with the
true boundaries, is added by MimicGen's own `prepare_src_dataset`.
"""

import argparse
import contextlib
import json
import random
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import robomimic.utils.env_utils as env_utils  # type: ignore[import-not-found,unused-ignore]
import robosuite  # type: ignore[import-not-found,unused-ignore]
from mimicgen.env_interfaces.base import make_interface  # type: ignore[import-not-found,unused-ignore]
from mimicgen.scripts.prepare_src_dataset import (  # type: ignore[import-not-found,unused-ignore]
    prepare_src_dataset,
)

from benchmarks.mimicgen.arm import Arm, Policy, drawn_style
from benchmarks.mimicgen.policies import POLICIES, wander
from benchmarks.mimicgen.tasks import CASES

FPS = 20
END_FRAMES = 10
"""Frames that have to show the finished task."""


def environment_meta(name: str) -> dict[str, Any]:
    """What a robomimic file says of a robosuite environment with pose control of a Panda."""
    kwargs = {
        "has_renderer": False,
        "has_offscreen_renderer": False,
        "ignore_done": True,
        "use_object_obs": True,
        "use_camera_obs": False,
        "control_freq": FPS,
        "controller_configs": robosuite.load_controller_config(default_controller="OSC_POSE"),
        "robots": ["Panda"],
        "camera_depths": False,
        "camera_heights": 84,
        "camera_widths": 84,
        "reward_shaping": False,
    }
    version = robosuite.__version__
    return {"env_name": name, "env_version": version, "type": 1, "env_kwargs": kwargs}


def make_environment(name: str) -> Any:
    """The environment in robomimic's wrapper, without cameras."""
    return env_utils.create_env_for_data_processing(
        env_meta=environment_meta(name),
        camera_names=[],
        camera_height=84,
        camera_width=84,
        reward_shaping=False,
    )


def attempt(env: Any, interface_name: str, policy: Policy, seed: int) -> tuple[Arm, str, bool]:
    """Do the task once: what was done, the model of the scene, and whether it succeeded."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (robosuite draws its scenes from it)
    env.reset()
    rng = np.random.default_rng(seed)
    interface = make_interface(name=interface_name, interface_type="robosuite", env=env.base_env)
    arm = Arm(env, interface, rng, drawn_style(rng))
    model = env.get_state()["model"]
    policy(arm)
    done = bool(env.is_success()["task"])
    arm.wait(END_FRAMES)
    return arm, model, done and bool(env.is_success()["task"])


def write_demo(data: h5py.Group, name: str, arm: Arm, model: str, seed: int) -> None:
    """One demonstration in robomimic's layout."""
    demo = data.create_group(name)
    demo.create_dataset("actions", data=np.array(arm.actions))
    demo.create_dataset("states", data=np.array(arm.states))
    for key in arm.observations[0]:
        values = np.array([observation[key] for observation in arm.observations])
        demo.create_dataset(f"obs/{key}", data=values, compression="gzip")
    demo.attrs["num_samples"] = len(arm.actions)
    demo.attrs["model_file"] = model
    demo.attrs["seed"] = seed
    demo.attrs["missed_first_grasp"] = arm.style.misses


def record(
    out: Path,
    environment: str,
    interface: str,
    policy: Policy,
    num_demos: int,
    seed: int,
    *,
    any_end: bool,
) -> int:
    """Record successful demonstrations into a new file; returns how many attempts that took."""
    env = make_environment(environment)
    tries = 0
    with h5py.File(out, "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = json.dumps(env.serialize(), indent=4)
        total = kept = 0
        while kept < num_demos:
            if tries >= 20 * num_demos:
                raise SystemExit(f"{environment}: {kept} successes in {tries} attempts; given up")
            arm, model, done = attempt(env, interface, policy, seed * 1000 + tries)
            tries += 1
            sys.stderr.write(
                f"{environment}: attempt {tries}, {len(arm.actions)} steps, "
                f"{'done' if done else 'failed'}\n"
            )
            if done or any_end:
                write_demo(data, f"demo_{kept}", arm, model, seed * 1000 + tries - 1)
                total, kept = total + len(arm.actions), kept + 1
        data.attrs["total"] = total
    with contextlib.redirect_stdout(sys.stderr):
        prepare_src_dataset(str(out), interface, "robosuite")
    with h5py.File(out, "a") as file:
        file["data"].attrs["attempts"] = tries
    return tries


def main() -> None:
    """Record one file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "task", help=f"{', '.join(CASES)}, or ENVIRONMENT:INTERFACE to wander in it"
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--demos", type=int, default=13)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if ":" in options.task:
        environment, interface = options.task.split(":")
        policy: Policy = wander
    else:
        case = CASES[options.task]
        environment, interface, policy = case.environment, case.interface, POLICIES[case.key]
    unfinished = options.out.with_suffix(".unfinished")
    tries = record(
        unfinished,
        environment,
        interface,
        policy,
        options.demos,
        options.seed,
        any_end=policy is wander,
    )
    unfinished.replace(options.out)
    sys.stderr.write(f"{options.out.name}: {options.demos} demonstrations of {tries} attempts\n")


if __name__ == "__main__":
    main()
