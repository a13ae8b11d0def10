"""A dataset whose episodes get pictures that nobody recorded, drawn from their states when asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kairoscope.render.assets import Assets, assets_in
from kairoscope.render.picture import Quality, check_states, compiled, painter
from kairoscope.render.recording import open_recordings, read_recording
from kairoscope.robot.episode import Episode
from kairoscope.robot.legality import TaskSpec
from kairoscope.robot.mimicgen import MimicgenDataset


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedDataset:
    """See `kairoscope.robot.episode.Dataset`: as recorded, with one more camera in every episode."""

    recorded: MimicgenDataset
    camera: str
    size_px: int
    quality: Quality
    assets: Assets
    draws: bool = True
    """Pictures take time: nobody should ask for all of them."""

    @property
    def path(self) -> Path:
        """What the user named."""
        return self.recorded.path

    @property
    def format(self) -> str:
        """That of the file."""
        return self.recorded.format

    @property
    def fps(self) -> float:
        """Of the recorded states, and of the pictures."""
        return self.recorded.fps

    @property
    def ids(self) -> Sequence[str]:
        """Every demonstration."""
        return self.recorded.ids

    @property
    def spec(self) -> TaskSpec | None:
        """MimicGen's subtasks of this task."""
        return self.recorded.spec

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed about the file."""
        return self.recorded.notes

    def episode(self, episode_id: str) -> Episode:
        """Read one demonstration. Raises UnreadableEpisode, naming what is wrong and where."""
        episode = self.recorded.episode(episode_id)
        others = [name for name in episode.cameras_in_file if name != self.camera]
        return replace(episode, cameras_in_file=(self.camera, *others))

    def pictures(self, episode_id: str, camera: str) -> NDArray[np.uint8]:
        """(T, size_px, size_px, 3) RGB of the recorded states.

        Raises UnreadableEpisode where they cannot be drawn, UserError where nothing can be.
        """
        if camera != self.camera:
            return self.recorded.pictures(episode_id, camera)
        recording = read_recording(self.path, episode_id)
        mujoco, brush = painter(self.size_px, self.quality)
        at_home = self.assets.at_home(recording.model_xml, recording.where)
        model = compiled(mujoco, at_home, recording.where)
        check_states(model, recording.states_TS.shape[1], recording.where)
        qpos = recording.states_TS[:, 1 : 1 + model.nq]
        pictures = np.empty((len(qpos), self.size_px, self.size_px, 3), np.uint8)
        for frame, drawn in enumerate(brush.frames(model, camera, qpos, recording.where)):
            pictures[frame] = drawn
        return pictures


def rendered(
    path: Path,
    *,
    camera: str = "agentview",
    size_px: int = 384,
    quality: Quality = "full",
    assets: Sequence[Path] = (),
    fps: float | None = None,
) -> RenderedDataset:
    """Open a robosuite recording with pictures drawn from its states.

    Args:
        path: HDF5 of robomimic or MimicGen.
        camera: of the recorded model.
        size_px: side of the pictures.
        quality: see `Quality`.
        assets: folders with meshes and textures, before installed packages.
        fps: states a second, where the file records it wrongly.

    Raises UserError for another kind of dataset, and where nothing can be drawn here.
    """
    recorded = open_recordings(path, fps=fps)
    found = assets_in(assets)
    painter(size_px, quality)
    return RenderedDataset(
        recorded=recorded, camera=camera, size_px=size_px, quality=quality, assets=found
    )
