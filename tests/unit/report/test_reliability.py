"""Plots of what confidences are worth."""

from xml.etree import ElementTree

import numpy as np

from kairoscope.calibration import reliability
from kairoscope.report.reliability import reliability_plot, review_plot
from kairoscope.report.svg import standalone

SVG = "{http://www.w3.org/2000/svg}"


def test_every_bin_is_a_dot_with_its_count_and_dots_on_the_diagonal_are_calibrated() -> None:
    found = reliability([0.5] * 10 + [0.95] * 20, [True] * 5 + [False] * 5 + [True] * 19 + [False])
    root = ElementTree.fromstring(standalone(reliability_plot(found, title="a < b")))
    dots = root.findall(f"{SVG}circle")
    assert len(dots) == len(found.bins) == 2
    diagonal = next(e for e in root.findall(f"{SVG}line") if e.get("class") == "diagonal")
    x0, y0, x1, y1 = (float(diagonal.get(name, "nan")) for name in ("x1", "y1", "x2", "y2"))
    for dot, share in zip(dots, (0.5, 0.95), strict=True):
        assert float(dot.get("cx", "nan")) == round(x0 + share * (x1 - x0), 2)
        assert float(dot.get("cy", "nan")) == round(y0 + share * (y1 - y0), 2)
    words = [e.text for e in root.findall(f"{SVG}text")]
    assert {"10", "20", "n = 30, calibration error 0.000"} <= set(words)


def test_both_curves_of_a_review_start_at_nothing_and_find_everything() -> None:
    errors = np.random.default_rng(0).exponential(size=30).tolist()
    root = ElementTree.fromstring(standalone(review_plot(errors, errors[::-1], title="t")))
    paths = [e.get("d", "") for e in root.findall(f"{SVG}path")]
    assert len(paths) == 2
    assert len({path.split("L")[0] for path in paths}) == 1
    assert len({path.split("L")[-1] for path in paths}) == 1
    knowing = review_plot(errors, errors, title="t")
    one, other = (e.get("d") for e in ElementTree.fromstring(knowing).iter(f"{SVG}path"))
    assert one == other
