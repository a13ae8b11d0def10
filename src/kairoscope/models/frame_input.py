"""What a checkpoint's frames look like, read from its small files alone: no weights are loaded."""

from pathlib import Path

from kairoscope.core import FramePolicy, UserError
from kairoscope.models.checkpoint import read_policy
from kairoscope.models.load import resolve
from kairoscope.storage import read_json
from kairoscope.video.sampling import QWEN3_GEOMETRY, QWEN25_GEOMETRY, PatchGeometry


def frame_input(spec: str | None) -> tuple[FramePolicy | None, PatchGeometry]:
    """Frame policy (None: it has none of its own) and patch geometry of a model.

    Without a model, and for names on the hub, Qwen2.5-VL's geometry, or Qwen3-VL's where the name
    says Qwen3 or Reason2.
    """
    if spec is None:
        return None, QWEN25_GEOMETRY
    source = Path(resolve(spec))
    if not source.is_dir():
        newer = any(word in spec.lower() for word in ("qwen3", "reason2"))
        return None, QWEN3_GEOMETRY if newer else QWEN25_GEOMETRY
    config_file = source / "config.json"
    if not config_file.is_file():
        raise UserError(f"{source}: no config.json in it; give a checkpoint folder")
    config = read_json(config_file)
    kind = config.get("model_type") if isinstance(config, dict) else None
    return read_policy(source), QWEN3_GEOMETRY if kind == "qwen3_vl" else QWEN25_GEOMETRY
