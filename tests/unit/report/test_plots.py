"""Plots are well-formed pictures whose marks lie where their numbers say."""

import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from kairoscope.report.curves import Lane, Series, curves, running_mean, timeline
from kairoscope.report.plots import Bar, Dot, Point, bars, dots, histogram, scatter
from kairoscope.report.svg import Scale, printable, short, signed, standalone, tick_step, ticks

NASTY = '<script>alert("1")</script> & \x00\x1b \ud800 \uffff'
SVG = "{http://www.w3.org/2000/svg}"


def plots() -> dict[str, Callable[[], str]]:
    return {
        "bars": lambda: bars(
            [Bar(label=NASTY, value=3.0, interval=(1.0, 5.0)), Bar(label="b", value=0.0)],
            title=NASTY,
            unit="%",
            aim=4.0,
        ),
        "dots": lambda: dots(
            [Dot(label=NASTY, value=0.2, interval=(0.1, 0.4), colour=9)], title=NASTY, unit="s"
        ),
        "histogram": lambda: histogram([-0.5, 0.0, 0.1, 2.0], title=NASTY),
        "scatter": lambda: scatter([Point(1.0, 1.5, 0), Point(2.0, 0.0, 3)], title=NASTY),
        "curves": lambda: curves(
            [Series(label=NASTY, points=[(1, 2.0), (2, 1.0)], smooth=True, marks=True)],
            title=NASTY,
            unit="loss",
            aim=1.0,
        ),
        "timeline": lambda: timeline([Lane(NASTY, [(0.0, 2.0, 0)]), Lane("b", [])], 8.0, title="t"),
        "empty histogram": lambda: histogram([], title="t"),
        "empty scatter": lambda: scatter([], title="t"),
        "empty bars": lambda: bars([], title="t", unit="s"),
        "empty curves": lambda: curves([], title="t", unit="s"),
        "no time": lambda: timeline([Lane("a", [])], 0.0, title="t"),
        "all the same": lambda: histogram([0.0, 0.0], title="t"),
        "one huge": lambda: bars([Bar(label="x", value=1e9)], title="t", unit="s"),
    }


@pytest.mark.parametrize("name", plots())
def test_every_plot_is_xml_without_scripts_or_addresses(name: str) -> None:
    markup = standalone(plots()[name]())
    root = ElementTree.fromstring(markup)
    assert root.tag == f"{SVG}svg"
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "style", "text", "rect", "line", "path", "circle"}
    assert "http" not in markup.replace("http://www.w3.org/2000/svg", "")
    for element in root.iter():
        for key, value in element.attrib.items():
            assert not key.startswith("on")
            assert "nan" not in value
            assert "inf" not in value.replace("infinity", "")


def test_bars_are_as_long_as_their_values() -> None:
    root = ElementTree.fromstring(
        bars([Bar(label="a", value=10.0), Bar(label="b", value=20.0)], title="t", unit="s")
    )
    widths = [float(rect.attrib["width"]) for rect in root.iter(f"{SVG}rect")]
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.02)


def test_spans_of_a_timeline_lie_at_their_times() -> None:
    root = ElementTree.fromstring(timeline([Lane("a", [(2.0, 6.0, 1)])], 8.0, title="t"))
    track, span = list(root.iter(f"{SVG}rect"))
    left, width = float(track.attrib["x"]), float(track.attrib["width"])
    assert float(span.attrib["x"]) == pytest.approx(left + width * 2 / 8, abs=1)
    assert float(span.attrib["width"]) == pytest.approx(width * 4 / 8, abs=1.1)


def test_a_histogram_counts_every_error_once() -> None:
    errors = [0.01 * i for i in range(-100, 101)]
    root = ElementTree.fromstring(histogram(errors, title="t"))
    base = 376.0
    heights = [base - float(rect.attrib["y"]) for rect in root.iter(f"{SVG}rect")]
    labels = [float(t.text or "") for t in root.iter(f"{SVG}text") if t.attrib["x"] == "36"]
    scale = (base - 26.0) / max(labels)
    assert sum(heights) / scale == pytest.approx(len(errors), rel=0.01)


def test_a_large_scatter_is_thinned_and_says_so() -> None:
    markup = scatter([Point(float(i % 9), 1.0, 0) for i in range(5000)], title="t")
    assert len(re.findall("<circle", markup)) == 1250
    assert "every 4th of 5000 points" in markup


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 0.034), (-3, 5), (0, 1e6), (12.3, 12.4)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    step = tick_step(low, high, 5)
    found = ticks(low, high)
    assert 2 <= len(found) <= 11
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in found)
    assert all(abs(tick / step - round(tick / step)) < 1e-6 for tick in found)


@pytest.mark.parametrize("values", [[], [0.0], [3.0], [-1.0, 2.0], [1e-12], [5.0, 5.0]])
@pytest.mark.parametrize("zero", [True, False])
def test_a_scale_holds_its_values(values: list[float], *, zero: bool) -> None:
    scale = Scale.around(values, 0.0, 100.0, zero=zero)
    assert scale.high > scale.low
    assert all(-1e-6 <= scale(value) <= 100 + 1e-6 for value in values)


def test_running_mean_of_a_constant_is_the_constant() -> None:
    points = [(float(i), 2.0) for i in range(100)]
    assert running_mean(points) == points


def test_numbers_as_labels() -> None:
    shown = [short(x) for x in (0.0, 1234.4, 0.5, 12.345, 0.00002, -0.25, 7.0)]
    assert shown == ["0", "1234", "0.5", "12.3", "2e-5", "-0.25", "7"]
    assert (signed(0.25), signed(-0.25), signed(0.0)) == ("+0.25", "−0.25", "0")
    assert printable("a\x00b\ud800\ufffec") == "a b  c"
