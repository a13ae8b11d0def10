"""Let MimicGen generate from annotations of the demonstrations. Run where it can be imported.

    python -m benchmarks.mimicgen.generate stack JOBS.json --attempts 100

Its own `DataGenerator`, with the settings of its core configuration of the task. Attempt `i` begins
with seed `i`, whatever the annotation is, so that annotations are compared on the same scenes and
with the same offsets. They take turns: stopped early, all have as many attempts. `JOBS.json` is a
list of `{"source": HDF5, "demos": [names], "rows": JSONL}`; a row an attempt is added to `rows`.
"""

import argparse
import contextlib
import json
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mimicgen  # type: ignore[import-not-found,unused-ignore]
import numpy as np
from mimicgen.configs import config_factory  # type: ignore[import-not-found,unused-ignore]
from mimicgen.configs.task_spec import MG_TaskSpec  # type: ignore[import-not-found,unused-ignore]
from mimicgen.datagen.data_generator import (  # type: ignore[import-not-found,unused-ignore]
    DataGenerator,
)
from mimicgen.env_interfaces.base import make_interface  # type: ignore[import-not-found,unused-ignore]
from mimicgen.utils import robomimic_utils  # type: ignore[import-not-found,unused-ignore]
from robomimic.utils.file_utils import (  # type: ignore[import-not-found,unused-ignore]
    get_env_metadata_from_dataset,
)

from benchmarks.mimicgen.tasks import CASES, Case

NEAREST = 3
"""`nn_k` of the core configurations."""


def core_config(case: Case) -> Any:
    """MimicGen's template of the task with what `generate_core_configs.py` sets for it."""
    template = Path(mimicgen.__file__).parent / f"exps/templates/robosuite/{case.key}.json"
    given = json.loads(template.read_text())
    given.pop("meta", None)
    subtasks = list(given["task"]["task_spec"].values())
    for subtask in subtasks:
        subtask["selection_strategy"] = case.selection
        subtask["selection_strategy_kwargs"] = {"nn_k": NEAREST}
        subtask |= {"action_noise": 0.05, "num_interpolation_steps": 5, "num_fixed_steps": 0}
        is_last = subtask["subtask_term_signal"] is None
        subtask["subtask_term_offset_range"] = None if is_last else list(case.offsets)
    generation = given["experiment"]["generation"]
    generation["select_src_per_subtask"] = case.each_subtask_from_another
    config = config_factory(given["name"], config_type=given["type"])
    with config.values_unlocked():
        config.update(given)
    return config


def environment(case: Case, source: Path) -> Any:
    """The environment as `generate_dataset` makes it, without what only a dataset would need.

    Nothing is kept of an attempt but whether it succeeded. Observations and the model's text, which
    are asked for at every step, and compiling the same model again for every attempt take half of
    the time and change nothing of what happens.
    """
    env = robomimic_utils.create_env(
        env_meta=get_env_metadata_from_dataset(dataset_path=str(source)),
        env_name=case.environment,
        camera_names=[],
        render=False,
        render_offscreen=False,
        use_image_obs=False,
        use_depth_obs=False,
    )
    env.get_observation = lambda _=None: {}
    env.base_env._get_observations = lambda **_: {}
    env.base_env._update_observables = lambda **_: None
    env.base_env.hard_reset = case.model_is_drawn
    env.get_state = lambda: {"states": np.array(env.base_env.sim.get_state().flatten())}
    return env


@dataclass(frozen=True, slots=True)
class Job:
    """One annotation: MimicGen's generator, and where its outcomes go."""

    generator: Any
    rows: Path

    @property
    def done(self) -> int:
        """Attempts so far."""
        return len(self.rows.read_text().splitlines()) if self.rows.exists() else 0


def job(config: Any, given: dict[str, Any]) -> Job:
    """A job as `JOBS.json` has it."""
    made = DataGenerator(
        task_spec=MG_TaskSpec.from_json(json_string=config.task.task_spec.dump()),
        dataset_path=given["source"],
        demo_keys=given["demos"],
    )
    return Job(made, Path(given["rows"]))


def attempt(made: Any, env: Any, interface: Any, how: dict[str, Any], seed: int) -> dict[str, Any]:
    """One attempt: whether it succeeded, of what it was made, what it took."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (MimicGen and robosuite draw from it)
    start = time.process_time()
    row: dict[str, Any] = {"attempt": seed, "success": False, "problem": None}
    try:
        found = made.generate(env=env, env_interface=interface, **how)
    except env.rollout_exceptions as error:
        row["problem"] = str(error)  # MimicGen draws another attempt; here it counts as a failure
    else:
        row["success"] = bool(found["success"])
        row["steps"] = int(found["actions"].shape[0])
        row["from"] = [int(number) for number in found["src_demo_inds"]]
    return row | {"cpu_s": round(time.process_time() - start, 3)}


def main() -> None:
    """Generate, a row an attempt."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("task", choices=sorted(CASES))
    parser.add_argument("jobs", type=Path)
    parser.add_argument("--attempts", type=int, default=100)
    options = parser.parse_args()
    case, given = CASES[options.task], json.loads(options.jobs.read_text())
    with contextlib.redirect_stdout(sys.stderr):
        config = core_config(case)
        generation = config.experiment.generation
        how = {
            "select_src_per_subtask": generation.select_src_per_subtask,
            "transform_first_robot_pose": generation.transform_first_robot_pose,
            "interpolate_from_last_target_pose": generation.interpolate_from_last_target_pose,
        }
        env = environment(case, Path(given[0]["source"]))
        interface = make_interface(
            name=case.interface, interface_type="robosuite", env=env.base_env
        )
        jobs = [job(config, one) for one in given]
        for seed in range(min(one.done for one in jobs), options.attempts):
            for one in jobs:
                if one.done == seed:
                    row = attempt(one.generator, env, interface, how, seed)
                    with one.rows.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
