"""The sample sheet of a data card: a clip of every kind, at its start, its boundaries and its end."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap

from PIL import Image, ImageDraw, ImageFont

from kairoscope.core import UserError
from kairoscope.data.labels import EventSample
from kairoscope.data.split import draw as lot
from kairoscope.storage import whole_file
from kairoscope.video.clip import Scan, scan
from kairoscope.video.decode import decode_frames

MOST_ROWS = 24
CELL_PX, CAPTION_PX, GAP_PX, TITLE_PX = 224, 44, 4, 18
CAPTION_LETTERS = 36
PAPER, INK, FAINT = (24, 24, 28), (235, 235, 240), (165, 165, 175)
Cell = tuple[Image.Image, str]


def chosen_samples(samples: Sequence[EventSample]) -> list[EventSample]:
    """At most `MOST_ROWS` samples: some of each scenario, the same ones whatever the order."""
    by_scenario: dict[str, list[EventSample]] = {}
    for sample in sorted(samples, key=lambda s: lot(0, s.id)):
        by_scenario.setdefault(sample.scenario, []).append(sample)
    each = max(1, min(3, MOST_ROWS // max(len(by_scenario), 1)))
    return [s for name in sorted(by_scenario) for s in by_scenario[name][:each]][:MOST_ROWS]


def write_sheet(samples: Sequence[EventSample], path: Path) -> None:
    """A PNG with a row for each sample: the frames at 0, at every boundary, and the last.

    Raises UserError where a clip cannot be read or the sheet not be written.
    """
    rows = [(sample, list(_cells(sample))) for sample in samples]
    columns = max((len(cells) for _, cells in rows), default=1)
    height = TITLE_PX + CELL_PX + CAPTION_PX + GAP_PX
    sheet = Image.new("RGB", (columns * (CELL_PX + GAP_PX) + GAP_PX, len(rows) * height), PAPER)
    pen = ImageDraw.Draw(sheet)
    font, small = ImageFont.load_default(13), ImageFont.load_default(11)
    for place, (sample, cells) in enumerate(rows):
        top = place * height
        pen.text((GAP_PX, top + 2), f"{sample.scenario}: {sample.video.name}", INK, font)
        for column, (picture, caption) in enumerate(cells):
            left = GAP_PX + column * (CELL_PX + GAP_PX)
            sheet.paste(picture, (left, top + TITLE_PX))
            pen.multiline_text((left, top + TITLE_PX + CELL_PX + 2), caption, FAINT, small)
    with whole_file(path) as temporary:
        sheet.save(temporary, format="PNG")


def _cells(sample: EventSample) -> Iterator[Cell]:
    """The frames of one row, in order, with what stands below them."""
    if sample.gold is None:
        raise UserError(f"sample {sample.id!r} has no events to show")
    clip = scan(sample.video)
    first, *_, last = clip.packets.shown
    wanted = [(first, "start")]
    wanted += [(_tick_at(clip, event.end_s), f"end of {event.name}") for event in sample.gold]
    wanted.append((last, "last frame"))
    pictures = {
        tick: Image.fromarray(frame.to_ndarray(format="rgb24")).resize((CELL_PX, CELL_PX))
        for tick, frame in decode_frames(clip, [tick for tick, _ in wanted])
    }
    for tick, what in wanted:
        lines = wrap(what, CAPTION_LETTERS)[:2]
        at_s = float((tick - first) * clip.packets.time_base)
        yield pictures[tick], "\n".join([f"{at_s:.2f} s", *lines])


def _tick_at(clip: Scan, time_s: float) -> int:
    """The first frame at or after a time, which shows the event as done; else the last."""
    first, step = clip.packets.shown[0], clip.packets.time_base
    rounding_s = 1e-6
    later = (t for t in clip.packets.shown if float((t - first) * step) >= time_s - rounding_s)
    return next(later, clip.packets.shown[-1])
