"""No interval of a timeline hides another, and no row is wasted."""

from itertools import combinations
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from kairoscope.report.clips import ClipView, Lane, Order, clip_payload
from kairoscope.report.curves import Lane as PlotLane
from kairoscope.report.curves import timeline
from kairoscope.report.stacking import TOUCHING_S, stacked

TIMES = st.integers(0, 40).map(lambda tenth: tenth / 10)
SPANS = st.lists(st.tuples(TIMES, TIMES).map(lambda pair: (min(pair), max(pair))), max_size=12)


def overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """A moment is shared that is more than a touch; one without length hides what starts with it."""
    ends = [max(end_s, start_s + 2 * TOUCHING_S) for start_s, end_s in (one, other)]
    return min(ends) - max(one[0], other[0]) > TOUCHING_S


@given(SPANS)
@settings(max_examples=200)
def test_what_overlaps_lies_in_rows_of_its_own(spans: list[tuple[float, float]]) -> None:
    rows = stacked(spans)
    assert len(rows) == len(spans)
    for (one, at), (other, there) in combinations(zip(spans, rows, strict=True), 2):
        assert at != there or not overlap(one, other)
    crowded = [sum(overlap((s, s + 0.01), (start, end)) for start, end in spans) for s, _ in spans]
    assert max(rows, default=-1) + 1 <= max(crowded, default=0)


def test_neighbours_share_a_row_and_a_moment_is_seen() -> None:
    assert stacked([(0.0, 2.0), (2.0, 3.0), (3.5, 4.0)]) == [0, 0, 0]
    assert stacked([(0.0, 9.5), (9.5, 9.5), (9.5, 10.0)]) == [0, 0, 1]
    assert stacked([(0.0, 5.73), (0.0, 7.73), (7.73, 9.0)]) == [0, 1, 0]


def test_both_kinds_of_timeline_stack() -> None:
    spans = [(0, 0.0, 5.0), (1, 1.0, 7.0)]
    view = ClipView(
        id="a",
        scenario="s",
        video=None,
        duration_s=9.0,
        events=["x", "y"],
        lanes=[Lane(name="events", spans=[(e, a, b, False) for e, a, b in spans])],
    )
    payload = clip_payload([view], [Order(name="o", key="place")], 0.1)
    [lane] = payload["clips"][0]["lanes"]
    assert lane["rows"] == 2
    assert [span[4] for span in lane["spans"]] == [0, 1]
    picture = timeline([PlotLane("events", [(a, b, e) for e, a, b in spans])], 9.0, title="t")
    track, *bars = ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}rect")
    top, height = (float(track.attrib[key]) for key in ("y", "height"))
    tops = [float(bar.attrib["y"]) - top for bar in bars]
    assert tops == [0.0, height / 2]
