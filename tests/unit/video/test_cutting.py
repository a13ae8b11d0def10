"""Clips that are cut out or made of pictures: each frame is there, once, at its time."""

from pathlib import Path

import numpy as np
import pytest
from command_line import write_clip as write_sample

from kairoscope.core import UnreadableClip
from kairoscope.video.clip import frame_times, scan
from kairoscope.video.cutting import cut_clip, write_clip
from kairoscope.video.decode import decode_frames


def brightness(path: Path) -> list[float]:
    clip = scan(path)
    frames = decode_frames(clip, clip.packets.shown)
    return [float(frame.to_ndarray(format="gray").mean()) for _, frame in frames]


@pytest.mark.parametrize("size", [(84, 84), (33, 47)])
def test_pictures_become_frames_at_their_times(tmp_path: Path, size: tuple[int, int]) -> None:
    times_s = np.cumsum([0.0, 0.05, 0.05, 0.2, 0.03, 0.05, 0.1])
    values = np.linspace(20, 230, len(times_s)).astype(np.uint8)
    pictures = np.broadcast_to(values[:, None, None, None], (len(values), *size, 3))
    write_clip(np.array(pictures), times_s, tmp_path / "a.mp4")
    assert frame_times(tmp_path / "a.mp4") == pytest.approx(times_s.tolist(), abs=1e-4)
    assert brightness(tmp_path / "a.mp4") == pytest.approx(values.tolist(), abs=4)


def test_a_part_is_the_frames_of_the_whole(tmp_path: Path) -> None:
    write_sample(tmp_path / "whole.mp4", 3)
    times_s, shades = frame_times(tmp_path / "whole.mp4"), brightness(tmp_path / "whole.mp4")
    for first, last in ((0, 7), (5, 20), (11, len(times_s))):
        end_s = times_s[last] if last < len(times_s) else None
        number = cut_clip(tmp_path / "whole.mp4", times_s[first], end_s, tmp_path / "part.mp4")
        own_s = [time_s - times_s[first] for time_s in times_s[first:last]]
        assert number == len(own_s)
        assert frame_times(tmp_path / "part.mp4") == pytest.approx(own_s, abs=1e-6)
        assert brightness(tmp_path / "part.mp4") == pytest.approx(shades[first:last], abs=3)


def test_parts_side_by_side_share_no_frame(tmp_path: Path) -> None:
    write_sample(tmp_path / "whole.mp4", 4)
    times_s = frame_times(tmp_path / "whole.mp4")
    border_s = round(times_s[9], 3)  # spans are rounded
    first = cut_clip(tmp_path / "whole.mp4", 0.0, border_s, tmp_path / "a.mp4")
    second = cut_clip(tmp_path / "whole.mp4", border_s, None, tmp_path / "b.mp4")
    assert (first, first + second) == (9, len(times_s))


def test_nothing_there_leaves_no_file(tmp_path: Path) -> None:
    write_sample(tmp_path / "whole.mp4", 5)
    with pytest.raises(UnreadableClip, match=r"whole\.mp4: has no frames from 99\.00 s on"):
        cut_clip(tmp_path / "whole.mp4", 99.0, None, tmp_path / "part.mp4")
    with pytest.raises(UnreadableClip, match="2 pictures for 3 frames"):
        write_clip(np.zeros((2, 8, 8, 3), np.uint8), [0.0, 0.1, 0.2], tmp_path / "part.mp4")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["whole.mp4"]
