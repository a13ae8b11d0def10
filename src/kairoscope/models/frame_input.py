"""What a checkpoint's frames look like, read from its small files alone: no weights are loaded."""

from kairoscope.core import FramePolicy, UserError
from kairoscope.models.adapters import model_policy
from kairoscope.models.names import located, resolve, whole_folder_of
from kairoscope.storage import read_json
from kairoscope.video.sampling import QWEN3_GEOMETRY, QWEN25_GEOMETRY, PatchGeometry


def frame_input(spec: str | None) -> tuple[FramePolicy | None, PatchGeometry]:
    """Frame policy (None: it has none of its own) and patch geometry of a model.

    Without a model Qwen2.5-VL's geometry. For a model on the hub that cannot be asked now, the same,
    or Qwen3-VL's where the name says Qwen3 or Reason2.
    """
    if spec is None:
        return None, QWEN25_GEOMETRY
    source = resolve(spec)
    if isinstance(source, str):
        try:
            source = located(spec, small=True)
        except UserError:
            newer = any(word in spec.lower() for word in ("qwen3", "reason2"))
            return None, QWEN3_GEOMETRY if newer else QWEN25_GEOMETRY
    config_file = whole_folder_of(source, small=True) / "config.json"
    if not config_file.is_file():
        raise UserError(f"{source}: no config.json in it; give a checkpoint folder")
    config = read_json(config_file)
    kind = config.get("model_type") if isinstance(config, dict) else None
    return model_policy(source), QWEN3_GEOMETRY if kind == "qwen3_vl" else QWEN25_GEOMETRY
