"""Clips in a test's own folder."""

from pathlib import Path
from typing import Any

import pytest
from made_clips import MakeClip, write_clip


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """`make_clip("name.mp4", **write_clip's arguments)` -> path in this test's own folder."""

    def make(name: str = "clip.mp4", **settings: Any) -> Path:
        return write_clip(tmp_path / name, **settings)

    return make
