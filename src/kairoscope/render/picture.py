"""Pixels of recorded configurations: a compiled model, a named camera, a headless OpenGL context."""

import atexit
import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kairoscope.core import UserError
from kairoscope.robot.episode import UnreadableEpisode
from kairoscope.simulate.render import load_mujoco

Quality = Literal["full", "fast"]
"""`full`: smooth edges, reflections and shadows, as robosuite draws; `fast`: none of them, in about
a third of the time where the processor draws."""
SIZES_PX = (64, 2048)
_TEXTURE = re.compile(r"<texture(?![^>]*\bcolorspace=)")
_COLLISION_GROUP, _VISUAL_GROUP = 0, 1
"""robosuite's groups of geometries: it draws the second alone."""


def compiled(mujoco: Any, model_xml: str, where: str) -> Any:
    """A model from MJCF text; the last one is remembered, for those of a file are often the same.

    Raises UnreadableEpisode where MuJoCo refuses it.
    """
    try:
        return _compiled(mujoco, model_xml)
    except (ValueError, mujoco.FatalError) as error:
        said = " ".join(str(error).split())[:300]
        raise UnreadableEpisode(
            f"{where}: MuJoCo {mujoco.__version__} does not take its model_file ({said})"
        ) from error


@lru_cache(maxsize=1)
def _compiled(mujoco: Any, model_xml: str) -> Any:
    if hasattr(mujoco, "mjtColorSpace"):
        # Newer versions take a PNG's own word for its colours; those that recorded drew them as
        # they were, and lighter.
        model_xml = _TEXTURE.sub('<texture colorspace="linear"', model_xml)
    return mujoco.MjModel.from_xml_string(model_xml)


def check_states(model: Any, num_columns: int, where: str) -> None:
    """Raise UnreadableEpisode where states are not those of the model."""
    needed = 1 + model.nq + model.nv
    if num_columns != needed:
        raise UnreadableEpisode(
            f"{where}/states: has {num_columns} columns, its model needs {needed} "
            f"(clock, {model.nq} positions, {model.nv} velocities)"
        )


def quaternion_columns(mujoco: Any, model: Any) -> list[int]:
    """First column of every quaternion in qpos."""
    found = []
    for kind, column in zip(model.jnt_type, model.jnt_qposadr, strict=True):
        if kind == mujoco.mjtJoint.mjJNT_FREE:
            found.append(int(column) + 3)
        elif kind == mujoco.mjtJoint.mjJNT_BALL:
            found.append(int(column))
    return found


def cameras(model: Any) -> list[str]:
    """Names of a model's cameras."""
    return [model.camera(number).name for number in range(model.ncam)]


class Painter:
    """One OpenGL context of a fixed size; draws any number of models, one after another."""

    def __init__(self, mujoco: Any, size_px: int, quality: Quality):
        self._mujoco, self._size_px, self._quality = mujoco, size_px, quality
        try:
            self._context = mujoco.GLContext(size_px, size_px)
        except (ImportError, AttributeError, RuntimeError) as error:
            raise UserError(
                f"no OpenGL context of {size_px} pixels ({error}): drawing without a screen needs "
                "libosmesa6 (MUJOCO_GL=osmesa) or libegl1 (MUJOCO_GL=egl)"
            ) from error
        self._context.make_current()
        self._options = self._what_is_seen()
        self._view = mujoco.MjrRect(0, 0, size_px, size_px)
        self._model: Any = None
        self._data: Any = None
        self._scene: Any = None
        self._gpu: Any = None

    def _what_is_seen(self) -> Any:
        options = self._mujoco.MjvOption()
        options.sitegroup[:] = 0  # marks for programs, which robosuite hides as well
        return options

    def close(self) -> None:
        """Free the context."""
        if self._gpu is not None:
            self._gpu.free()
            self._gpu = None
        self._context.free()

    def frames(
        self, model: Any, camera: str, qpos_KQ: Iterable[NDArray[np.float64]], where: str
    ) -> Iterator[NDArray[np.uint8]]:
        """Draw every configuration: yields (size_px, size_px, 3) RGB, valid until the next.

        Raises UnreadableEpisode, naming those there are, where the model has no such camera.
        """
        mujoco = self._mujoco
        names = cameras(model)
        if camera not in names:
            raise UnreadableEpisode(
                f"{where}: its model has no camera {camera!r}; it has {', '.join(names) or 'none'}"
            )
        self._context.make_current()
        self._load(model)
        eye = mujoco.MjvCamera()
        eye.type, eye.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, names.index(camera)
        pixels = np.empty((self._size_px, self._size_px, 3), np.uint8)
        for qpos in qpos_KQ:
            self._data.qpos[:] = qpos
            mujoco.mj_kinematics(model, self._data)
            mujoco.mj_comPos(model, self._data)  # what draws tendons and skins needs it
            mujoco.mj_camlight(model, self._data)
            everything = mujoco.mjtCatBit.mjCAT_ALL
            mujoco.mjv_updateScene(
                model, self._data, self._options, None, eye, everything, self._scene
            )
            mujoco.mjr_render(self._view, self._scene, self._gpu)
            mujoco.mjr_readPixels(pixels, None, self._view, self._gpu)
            yield pixels[::-1]

    def _load(self, model: Any) -> None:
        """Put a model's meshes and textures where they are drawn, if it is not the last one."""
        if model is self._model:
            return
        mujoco = self._mujoco
        if self._gpu is not None:
            self._gpu.free()
        model.vis.global_.offwidth = model.vis.global_.offheight = self._size_px
        if self._quality == "fast":
            model.vis.quality.offsamples = 0
        groups = set(model.geom_group)
        self._options.geomgroup[_COLLISION_GROUP] = _VISUAL_GROUP not in groups
        self._scene = mujoco.MjvScene(model, maxgeom=model.ngeom + 100)
        if self._quality == "fast":
            for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
                self._scene.flags[flag] = 0
        self._gpu = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._gpu)
        self._model, self._data = model, mujoco.MjData(model)


@cache
def painter(size_px: int, quality: Quality) -> tuple[Any, Painter]:
    """This process's mujoco and its OpenGL context of a size; closed at exit.

    Raises UserError where mujoco or its OpenGL library is missing.
    """
    mujoco = load_mujoco()
    brush = Painter(mujoco, size_px, quality)
    atexit.register(brush.close)
    return mujoco, brush
