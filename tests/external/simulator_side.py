"""Runs in a Python that has robosuite and MimicGen: what their own code says of simulated states.

simulator_side.py stir ENVIRONMENT OUT.hdf5 NUM_STATES SEED
    visits every object with the hand and then throws things about: states with and without
    grasps, stacks and insertions, as a recording of one demonstration
simulator_side.py ask FILE.hdf5 OUT.npz
    the subtask termination signals of every recorded state, by MimicGen's own interface
simulator_side.py parse FILE.hdf5 OUT.json SIGNAL:LEAST:MOST...
    where each subtask ends by MimicGen's own reader, for these signals and offset ranges
simulator_side.py draw FILE.hdf5 OUT.npz SIZE CAMERA FRAME...
    robosuite's own pictures of the first demonstration
"""

import json
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np

robosuite: Any = import_module("robosuite")
import_module("mimicgen")  # registers its environments
make_interface: Any = import_module("mimicgen.env_interfaces.base").make_interface
CONTROLLER = robosuite.load_controller_config(default_controller="OSC_POSE")


def make(name: str, **options: Any) -> tuple[Any, Any]:
    """An environment and MimicGen's interface to it."""
    chosen = {"has_offscreen_renderer": False} | options
    env = robosuite.make(
        name,
        robots="Panda",
        controller_configs=CONTROLLER,
        has_renderer=False,
        use_camera_obs=False,
        ignore_done=True,
        control_freq=20,
        **chosen,
    )
    interface = make_interface(
        name=f"MG_{name.rpartition('_')[0]}", interface_type="robosuite", env=env
    )
    return env, interface


def stir(name: str, out: str, num_states: int, seed: int) -> None:
    """Write a recording of states that need not follow from each other."""
    np.random.seed(seed)  # noqa: NPY002  robosuite's environments draw from it
    rng = np.random.default_rng(seed)
    env, interface = make(name)
    env.reset()
    model_xml = env.sim.model.get_xml()
    bases = [env.sim.get_state().flatten()]
    for pose in interface.get_object_poses().values():
        for height in (0.12, 0.0):
            visit(env, interface, pose[:3, 3] + [0, 0, height])
            bases.append(env.sim.get_state().flatten())
    states = [
        disturbed(env, interface, rng, bases[rng.integers(len(bases))]) for _ in range(num_states)
    ]
    with h5py.File(out, "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = json.dumps(
            {"env_name": name, "type": 1, "env_kwargs": {"control_freq": 20}}
        )
        demo = data.create_group("demo_0")
        demo.attrs["model_file"] = model_xml
        demo["states"] = np.array(states)
        demo["actions"] = np.zeros((len(states), 7))


def visit(env: Any, interface: Any, target: np.ndarray) -> None:
    """Drive the open hand to a place."""
    for _ in range(60):
        away = target - interface.get_robot_eef_pose()[:3, 3]
        env.step(np.concatenate([np.clip(away / 0.05, -1, 1), np.zeros(3), [-1]]))


def disturbed(env: Any, interface: Any, rng: Any, base: np.ndarray) -> np.ndarray:
    """A state like another, with one thing put into the hand or onto something, fingers anywhere."""
    sim = env.sim
    sim.set_state_from_flattened(base)
    sim.forward()
    hand = interface.get_robot_eef_pose()[:3, 3]
    places = [pose[:3, 3] for pose in interface.get_object_poses().values()]
    fingers = rng.uniform(0, 0.04, 2)
    for joint, sign, width in zip(env.robots[0].gripper.joints, (1, -1), fingers, strict=True):
        sim.data.set_joint_qpos(joint, sign * width)
    free = [
        name
        for name in sim.model.joint_names
        if sim.model.jnt_type[sim.model.joint_name2id(name)] == 0
    ]
    for joint in rng.permutation(free)[: rng.integers(0, 3)]:
        yaw = rng.uniform(0, 2 * np.pi)
        near = hand + rng.normal(0, [0.03, 0.03, 0.012])
        if rng.random() < 0.6:
            near = (
                places[rng.integers(len(places))]
                + rng.normal(0, 0.015, 3)
                + [0, 0, rng.uniform(0, 0.06)]
            )
        turn = [np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]
        sim.data.set_joint_qpos(joint, np.concatenate([near, turn]))
    sim.forward()
    return np.asarray(sim.get_state().flatten())


def at_home(env: Any, model_xml: str) -> str:
    """The model with paths of this machine. MimicGen's own way fails below a folder of its name."""
    files = re.findall(r'file="([^"]+)"', model_xml)
    return (
        model_xml if all(Path(f).is_file() for f in files) else str(env.edit_model_xml(model_xml))
    )


def ask(path: str, out: str) -> None:
    """What every signal is at every state of every demonstration: `demo/signal` -> (T,)."""
    found: dict[str, list[int]] = {}
    with h5py.File(path, "r") as file:
        name = json.loads(file["data"].attrs["env_args"])["env_name"]
        env, interface = make(name)
        env.reset()
        for demo in file["data"]:
            group = file["data"][demo]
            env.reset_from_xml_string(at_home(env, group.attrs["model_file"]))
            env.sim.reset()
            for state in group["states"][()]:
                env.sim.set_state_from_flattened(state)
                env.sim.forward()
                for signal, value in interface.get_subtask_term_signals().items():
                    found.setdefault(f"{demo}/{signal}", []).append(int(value))
    answers: dict[str, Any] = {key: np.array(values) for key, values in found.items()}
    np.savez(out, **answers)


def parse(path: str, out: str, subtasks: list[str]) -> None:
    """Demonstration -> exclusive ends, as generation takes them."""
    theirs: Any = import_module("mimicgen.utils.file_utils")
    named = [subtask.split(":") for subtask in subtasks]
    demos = theirs.get_all_demos_from_dataset(path)
    theirs.get_env_interface_info_from_dataset(path, demos)
    _, indices, _, _ = theirs.parse_source_dataset(
        path,
        demos,
        subtask_term_signals=[*(name for name, _, _ in named), None],
        subtask_term_offset_ranges=[*((int(low), int(high)) for _, low, high in named), None],
    )
    ends = indices[:, :-1, 1].tolist()
    Path(out).write_text(json.dumps(dict(zip(demos, ends, strict=True))))


def draw(path: str, out: str, size: int, camera: str, frames: list[int]) -> None:
    """(N, size, size, 3) pictures of recorded states, the right way up."""
    with h5py.File(path, "r") as file:
        name = json.loads(file["data"].attrs["env_args"])["env_name"]
        group = file["data"][next(iter(file["data"]))]
        env, _ = make(name, has_offscreen_renderer=True)
        env.reset()
        env.reset_from_xml_string(at_home(env, group.attrs["model_file"]))
        env.sim.reset()
        pictures = []
        for frame in frames:
            env.sim.set_state_from_flattened(group["states"][frame])
            env.sim.forward()
            picture = env.sim.render(height=size, width=size, camera_name=camera)
            pictures.append(picture[::-1])
    np.savez(out, pictures=np.array(pictures))


if __name__ == "__main__":
    verb, *rest = sys.argv[1:]
    if verb == "stir":
        stir(rest[0], rest[1], int(rest[2]), int(rest[3]))
    elif verb == "ask":
        ask(rest[0], rest[1])
    elif verb == "parse":
        parse(rest[0], rest[1], rest[2:])
    else:
        draw(rest[0], rest[1], int(rest[2]), rest[3], [int(frame) for frame in rest[4:]])
