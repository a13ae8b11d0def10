"""When every event of a recorded simulation ends, and where that is known from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairoscope.core import UserError
from kairoscope.data.taskfiles import TaskFile, load_task
from kairoscope.events import Event, Events
from kairoscope.render.predicates import PREDICATES, signals
from kairoscope.render.recording import Recording
from kairoscope.robot.episode import UnreadableEpisode
from kairoscope.robot.mimicgen import PLACE, MimicgenDataset
from kairoscope.robot.naming import SignalPlan, signal_plan
from kairoscope.robot.termination import Signal, label_ends

_SHIPPED: Mapping[str, str] = {
    "coffee": "mimicgen_coffee",
    "nut_assembly": "mimicgen_nut_assembly",
    "square": "mimicgen_square",
    "stack": "mimicgen_stack",
    "stack_three": "mimicgen_stackthree",
    "threading": "mimicgen_threading",
    "three_piece_assembly": "mimicgen_three_piece_assembly",
}
"""Task of MimicGen -> the task file whose events end its signals, in order."""


class UnknownTruth(UnreadableEpisode):
    """Nothing says when events end: the demonstration can be drawn, and not labelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The ends of a demonstration's events."""

    events: Events
    """In order; the time of the first recorded state in which each is done."""
    recorded: Mapping[str, int]
    """Signal -> first frame on which it is 1, as the file says; empty where it has none."""
    computed: Mapping[str, int]
    """The same by the simulator's predicates; empty where they are not known."""

    @property
    def differences(self) -> dict[str, int]:
        """Signal -> frames that the predicates come later than the file says."""
        both = self.recorded.keys() & self.computed.keys()
        return {name: self.computed[name] - self.recorded[name] for name in sorted(both)}


def task_for(dataset: MimicgenDataset, task: TaskFile | None) -> TaskFile | None:
    """The events of a file: as asked for, else those of its environment, else None."""
    if task is not None:
        return task
    name = _SHIPPED.get(dataset.spec.name) if dataset.spec is not None else None
    return load_task(name) if name is not None else None


def plan_for(dataset: MimicgenDataset, task: TaskFile) -> SignalPlan:
    """Which event ends which signal. Raises UserError for a task that is not the file's."""
    plan = signal_plan(dataset, task.events, signals=task.signals, offsets=task.offsets)
    assert plan is not None, "HDF5 files always have one"
    if not plan.signals:
        raise UserError(f"{dataset.path}: no event of task {task.name} ends a signal")
    return plan


def truth(
    mujoco: Any,
    model: Any,
    recording: Recording,
    plan: SignalPlan,
    fps: float,
) -> Truth:
    """The ends of a demonstration's events.

    Signals of the file count where all are there and Kairoscope did not guess them; else the
    simulator's predicates do. Both are found where they can be, so that they can be compared.

    Args:
        mujoco: the module.
        model: compiled from the recording's own.
        recording: as read.
        plan: events and signals.
        fps: at which states were recorded.

    Raises UnreadableEpisode where an event never happens, or nothing says when.
    """
    wanted = tuple(plan.signals.values())
    has_predicates = plan.spec.name in PREDICATES
    has_signals = _usable(recording.signals, wanted)
    if not has_signals and not has_predicates:
        raise UnknownTruth(
            f"{recording.where}: nothing says when {', '.join(wanted)} ends: it has no such signals, "
            f"and predicates are known for {', '.join(PREDICATES)} only"
        )
    recorded = _ends(recording.signals, plan) if has_signals else {}
    computed: dict[str, int] = {}
    if has_predicates:
        qpos = recording.states_TS[:, 1 : 1 + model.nq]
        values = signals(mujoco, model, qpos, plan.spec.name, recording.where)
        computed = _ends({name: _signal(one) for name, one in values.items()}, plan)
    chosen = recorded if len(recorded) == len(wanted) else computed or recorded
    missing = [event for event, signal in plan.signals.items() if signal not in chosen]
    if missing:
        raise UnreadableEpisode(f"{recording.where}: never happens: {', '.join(missing)}")
    events = tuple(Event(event, None, chosen[s] / fps) for event, s in plan.signals.items())
    return Truth(events=events, recorded=recorded, computed=computed)


def _usable(found: Mapping[str, Signal], wanted: tuple[str, ...]) -> bool:
    return all(name in found and found[name].made_by != "kairoscope" for name in wanted)


def _signal(values_T: NDArray[np.float64]) -> Signal:
    return Signal(values_T=values_T, is_bool=False, made_by="unknown")


def _ends(found: Mapping[str, Signal], plan: SignalPlan) -> dict[str, int]:
    """Signal -> the first frame on which it is 1, as MimicGen reads them one after the other."""
    chosen = {name: found[name] for name in plan.spec.signals}
    ends = label_ends(chosen, PLACE, plan.spec)
    return {name: end - 1 for name, end in ends.items() if end is not None}
