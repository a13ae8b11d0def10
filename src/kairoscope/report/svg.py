"""The little of SVG that the plots need: escaped elements, linear scales and round ticks.

Colours come from classes in `templates/chart.css`, so that a plot follows the page it stands in
from light to dark; `standalone` puts that style sheet into a file of its own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Self

Attribute = str | float | int | None


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from values to pixels."""

    low: float
    high: float
    start: float
    """Pixel of `low`."""
    stop: float
    """Pixel of `high`."""

    def __call__(self, value: float) -> float:
        """Pixel of a value; values outside land outside."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """About `count` round values from `low` to `high`."""
        return ticks(self.low, self.high, count)

    @classmethod
    def around(
        cls, values: Sequence[float], start: float, stop: float, *, zero: bool = True
    ) -> Self:
        """A scale that holds all values (and 0) and ends at round numbers."""
        shown = [*values, 0.0] if zero or not values else list(values)
        low, high = min(shown), max(shown)
        if high - low < 1e-9:
            low, high = (low, low + 1.0) if zero else (low - 0.5, low + 0.5)
        step = tick_step(low, high, 5)
        return cls(
            math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, start, stop
        )


def tick_step(low: float, high: float, count: int) -> float:
    """1, 2 or 5 times a power of ten, so that about `count` steps lie between `low` and `high`."""
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough * 0.999)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round values from `low` to `high`, both included where they are round."""
    step = tick_step(low, high, count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def element(name: str, content: str = "", **attributes: Attribute) -> str:
    """An element with escaped attributes; `class_` is `class`, `_` is `-`, None is left out.

    `content` is markup: text goes through `text` or `html.escape` first.
    """
    parts = [name]
    for key, value in attributes.items():
        if value is not None:
            shown = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
            parts.append(f'{key.rstrip("_").replace("_", "-")}="{escape(str(shown))}"')
    return f"<{' '.join(parts)}>{content}</{name}>" if content else f"<{' '.join(parts)}/>"


def text(x: float, y: float, words: str, class_: str = "label", anchor: str = "start") -> str:
    """A line of text; control characters, which XML does not allow, become blanks."""
    return element("text", escape(printable(words)), x=x, y=y, class_=class_, text_anchor=anchor)


def printable(words: str) -> str:
    """Words without the characters that no XML document may hold."""
    return "".join(
        c
        if c in "\t\n"
        or (ord(c) >= 0x20 and not 0xD800 <= ord(c) <= 0xDFFF and ord(c) & 0xFFFE != 0xFFFE)
        else " "
        for c in words
    )


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def x_axis(scale: Scale, top: float, base: float, words: str, *, count: int = 5) -> list[str]:
    """Vertical grid lines from `top` to `base`, their values below, and what they measure."""
    body = []
    for value in scale.ticks(count):
        x = scale(value)
        body.append(line(x, top, x, base, "axis" if value == 0 else "grid"))
        body.append(text(x, base + 16, short(value), "tick", "middle"))
    body.append(text((scale.start + scale.stop) / 2, base + 34, words, "tick", "middle"))
    return body


def y_axis(scale: Scale, left: float, right: float, *, count: int = 4) -> list[str]:
    """Horizontal grid lines from `left` to `right` with their values on the left."""
    body = []
    for value in scale.ticks(count):
        y = scale(value)
        body.append(line(left, y, right, y, "axis" if value == 0 else "grid"))
        body.append(text(left - 8, y + 4, short(value), "tick", "end"))
    return body


BROAD = 480
"""A wider picture is not made smaller without end on a narrow screen."""


def chart(width: float, height: float, body: Sequence[str], title: str) -> str:
    """The whole picture, with its title for those who cannot see it."""
    head = element("title", escape(printable(title)))
    return element(
        "svg",
        head + "".join(body),
        xmlns="http://www.w3.org/2000/svg",
        class_="chart broad" if width > BROAD else "chart",
        role="img",
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
    )


def standalone(svg: str) -> str:
    """A plot as a file of its own, with its colours for light and dark."""
    style = files("kairoscope.report").joinpath("templates/chart.css").read_text("utf-8")
    head, title_end, rest = svg.partition("</title>")
    return f"{head}{title_end}<style>{escape(style, quote=False)}</style>{rest}\n"


def short(value: float, digits: int = 3) -> str:
    """A number as a label: about `digits` significant ones, no trailing zeros; 2e-5 if tiny."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    if abs(value) < 1e-3:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    decimals = min(8, max(0, digits - 1 - math.floor(math.log10(abs(value)))))
    words = f"{value:.{decimals}f}"
    return words.rstrip("0").rstrip(".") if "." in words else words


def signed(value: float) -> str:
    """A number with its sign, two significant digits."""
    return f"+{short(value, 2)}" if value > 0 else short(value, 2).replace("-", "−")


def span(low: float, high: float) -> str:
    """`3 to 8`, or just `8` where both are written the same."""
    first, last = short(low), short(high)
    return first if first == last else f"{first} to {last}"
