"""A checkpoint folder as vLLM wants it: with the files of the image and video processors.

Checkpoints of earlier versions have none, because our own preprocessing does not need them. vLLM asks for
them even where it is given frames that are ready.
"""

from pathlib import Path

from kairoscope.models.chat import Encoder
from kairoscope.models.preprocessing import IMAGES, VIDEOS, write_preprocessing


def with_processor(source: Path, encoder: Encoder, into: Path) -> Path:
    """A folder that vLLM can load: `source` itself, or links to its files and the ones it lacks.

    Args:
        source: checkpoint folder.
        encoder: of this checkpoint.
        into: folder for the links; made if need be.
    """
    if all((source / name).is_file() for name in (IMAGES, VIDEOS)):
        return source
    into.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.name not in (IMAGES, VIDEOS):
            (into / file.name).symlink_to(file.resolve())
    write_preprocessing(into, encoder.family, encoder.geometry)
    return into
