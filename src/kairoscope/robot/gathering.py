"""An episode while its channels are gathered from an HDF5 demonstration."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kairoscope.robot.episode import Channel, Episode, Kind
from kairoscope.robot.hdf5 import Demonstration
from kairoscope.robot.termination import Labels

QUATERNION = {"wxyz": ("qw", "qx", "qy", "qz"), "xyzw": ("qx", "qy", "qz", "qw")}
"""Names of a quaternion's columns, by their order."""


@dataclass(slots=True)
class Gathering:
    """Channels and notes of a demonstration. Methods raise UnreadableEpisode as its own do."""

    demo: Demonstration
    channels: list[Channel] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        recorded = self.demo.group.attrs.get("num_samples")
        if recorded is not None and np.any(recorded != self.demo.num_frames):
            self.notes.append(
                f"num_samples says {recorded}, there are {self.demo.num_frames} actions"
            )

    def add(
        self,
        name: str,
        kind: Kind,
        values_TD: NDArray[np.float64] | None = None,
        *,
        columns: tuple[str, ...] = (),
        unit: str | None = None,
        subject: str | None = None,
    ) -> None:
        """Gather a channel; one with values that are not finite is left out with a note."""
        values_TD = self.demo.values(name) if values_TD is None else values_TD
        if values_TD.shape[1] == 0:
            self.notes.append(f"{name} left out: it has no columns")
            return
        if not np.isfinite(values_TD).all():
            bad = int((~np.isfinite(values_TD).all(axis=1)).sum())
            self.notes.append(f"{name} left out: {bad} of {len(values_TD)} rows are not finite")
            return
        self.channels.append(
            Channel(
                name=name,
                kind=kind,
                values_TD=values_TD,
                columns=columns if len(columns) == values_TD.shape[1] else (),
                unit=unit,
                subject=subject,
            )
        )

    def add_pose(
        self, position: str, quaternion: str, kind: Kind, order: str, subject: str | None
    ) -> None:
        """Gather position (m) and, where it is recorded, quaternion as one channel."""
        parts = [self.demo.values(position)]
        columns: tuple[str, ...] = ("x", "y", "z")
        if self.demo.has(quaternion):
            parts.append(self.demo.values(quaternion))
            columns += QUATERNION[order]
        self.add(position, kind, np.hstack(parts), columns=columns, unit="m", subject=subject)

    def add_matrices(self, folder: str, kind: Kind) -> None:
        """Gather every 4 x 4 pose (m) of a group, each named after its subject."""
        for subject in self.demo.names(folder):
            self.add(f"{folder}/{subject}", kind, unit="m", subject=subject)

    def episode(
        self,
        episode_id: str,
        fps: float,
        cameras: tuple[str, ...],
        labels: Labels,
        *,
        task: str = "",
        source: str | None = None,
    ) -> Episode:
        """What was gathered."""
        notes = [*self.notes, *labels.notes]
        if not any(channel.kind == "gripper" for channel in self.channels):
            notes.append("no channel is known to be a gripper")
        return Episode(
            id=episode_id,
            times_s=np.arange(self.demo.num_frames) / fps,
            channels=tuple(self.channels),
            cameras_in_file=cameras,
            task=task,
            events=labels.events,
            labelled_by=labels.labelled_by,
            source=source,
            notes=tuple(notes),
        )
