"""Pixels: a headless OpenGL context, one scene's frames, an H.264 file."""

import ctypes
import io
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairoscope.core import UserError
from kairoscope.simulate.scene import Look

_LIBRARIES = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}
CRF = 23
"""Constant rate factor of x264."""
_X264: dict[str, object] = {
    "preset": "veryfast",
    "bf": "0",
    "threads": "1",
    # With macroblock-tree rate control one encoding in fifty differed from the others (x264 165).
    "x264-params": "mbtree=0",
}
_HINT = (
    "drawing without a screen needs an OpenGL library: "
    "MUJOCO_GL=osmesa needs the system package libosmesa6, MUJOCO_GL=egl needs libegl1"
)


def load_mujoco() -> Any:
    """Import mujoco, headless.

    `MUJOCO_GL` is respected when set; otherwise it becomes `egl` or `osmesa`, whichever library
    loads first. Raises `UserError` when mujoco or its OpenGL library is missing.
    """
    os.environ.setdefault("LP_NUM_THREADS", "0")  # software OpenGL: one clip, one core
    if "MUJOCO_GL" not in os.environ:
        loadable = [name for name, library in _LIBRARIES.items() if _loads(library)]
        if not loadable:
            raise UserError(f"no OpenGL library found: {_HINT}")
        os.environ["MUJOCO_GL"] = loadable[0]
    try:
        import mujoco
    except ModuleNotFoundError as error:
        raise UserError(
            f"{error.name} is not installed; simulated demonstrations need the extra `simulate`: "
            "pip install 'kairoscope[simulate]'"
        ) from error
    except (ImportError, AttributeError, RuntimeError) as error:
        raise UserError(
            f"MUJOCO_GL={os.environ['MUJOCO_GL']} does not load ({error}): {_HINT}"
        ) from error
    return mujoco


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


class Canvas:
    """One OpenGL context of a fixed size; draws any number of scenes. Close it after use."""

    def __init__(self, mujoco: Any, size_px: int):
        self._mujoco = mujoco
        self.size_px = size_px
        try:
            self._context = mujoco.GLContext(size_px, size_px)
        except (ImportError, AttributeError, RuntimeError) as error:
            raise UserError(f"no OpenGL context ({error}): {_HINT}") from error
        self._context.make_current()
        self._camera = mujoco.MjvCamera()
        self._options = mujoco.MjvOption()
        self._perturb = mujoco.MjvPerturb()

    def close(self) -> None:
        """Free the context."""
        self._context.free()

    def frames(
        self, model: Any, data: Any, qpos_TQ: NDArray[np.float64], look: Look
    ) -> Iterator[NDArray[np.uint8]]:
        """Draw every configuration: yields `(size_px, size_px, 3)` RGB, valid until the next."""
        mujoco, size = self._mujoco, self.size_px
        font = mujoco.mjtFontScale.mjFONTSCALE_50
        scene = mujoco.MjvScene(model, maxgeom=model.ngeom + 10)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            scene.flags[flag] = 0
        gpu = mujoco.MjrContext(model, font)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, gpu)
        self._aim(model, look)
        view = mujoco.MjrRect(0, 0, size, size)
        pixels = np.empty((size, size, 3), np.uint8)
        for qpos in qpos_TQ:
            data.qpos[:] = qpos
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            mujoco.mj_camlight(model, data)
            everything = mujoco.mjtCatBit.mjCAT_ALL
            mujoco.mjv_updateScene(
                model, data, self._options, self._perturb, self._camera, everything, scene
            )
            mujoco.mjr_render(view, scene, gpu)
            mujoco.mjr_readPixels(pixels, None, view, gpu)
            yield pixels[::-1]
        gpu.free()

    def _aim(self, model: Any, look: Look) -> None:
        camera = self._camera
        camera.type = self._mujoco.mjtCamera.mjCAMERA_FREE
        camera.lookat[:] = look.target
        camera.azimuth = 90.0 + look.azimuth_deg
        camera.elevation = -look.elevation_deg
        camera.distance = look.view_width_m / 2 / np.tan(np.radians(look.fovy_deg) / 2)
        model.vis.global_.fovy = look.fovy_deg


def encode_mp4(
    frames: Iterable[NDArray[np.uint8]],
    *,
    size_px: int | tuple[int, int],
    fps: float,
    crf: int = CRF,
) -> bytes:
    """RGB frames `(height, width, 3)` as an MP4: H.264, yuv420p, constant rate, no audio.

    `size_px` is (width, height), or the side of a square; even. A higher `crf` makes a smaller file.
    The same frames give the same bytes.
    """
    import av

    rate = Fraction(fps).limit_denominator(1001)
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = (size_px, size_px) if isinstance(size_px, int) else size_px
        stream.pix_fmt = "yuv420p"
        stream.options = _X264 | {"crf": str(crf)}
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts = index
            frame.time_base = 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()
