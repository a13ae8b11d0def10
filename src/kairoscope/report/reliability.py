"""Plots of what confidences are worth: reliability, and what reviewing the doubtful first finds."""

from collections.abc import Sequence
from itertools import pairwise

from kairoscope.calibration import Reliability, review_order, share_found
from kairoscope.report.curves import Series
from kairoscope.report.plots import clipped
from kairoscope.report.svg import Scale, chart, element, line, text, x_axis, y_axis

WIDTH, HEIGHT, TOP, BASE, LEFT = 420.0, 430.0, 26.0, 376.0, 52.0
NUM_STEPS = 50


def reliability_plot(found: Reliability, *, title: str) -> str:
    """Stated confidence against the share of boundaries that were within 0.25 s.

    The area of a dot is the share of boundaries in its bin. On the diagonal confidences come true;
    below it they promise too much.
    """
    across, up = Scale(0.0, 1.0, LEFT, WIDTH - 16), Scale(0.0, 1.0, BASE, TOP)
    body = x_axis(across, TOP, BASE, "stated confidence") + y_axis(up, LEFT, WIDTH - 16)
    body.append(line(across(0), up(0), across(1), up(1), "diagonal"))
    points = [(across(b.confidence), up(b.hit_share)) for b in found.bins]
    body += [
        line(x0, y0, x1, y1, "stroke-model whisker") for (x0, y0), (x1, y1) in pairwise(points)
    ]
    for (x, y), own in zip(points, found.bins, strict=True):
        radius = 3.0 + 7.0 * (own.count / found.count) ** 0.5
        body.append(element("circle", cx=x, cy=y, r=radius, class_="fill-model soft"))
        label_y = y + radius + 12 if own.hit_share > 0.5 else y - radius - 4
        body.append(text(x, label_y, str(own.count), "tick", "middle"))
    body.append(text(LEFT - 38, 14, "share within 0.25 s", "tick"))
    words = f"n = {found.count}, calibration error {found.error:.3f}"
    body.append(text(LEFT - 38, HEIGHT - 2, words, "tick"))
    return chart(WIDTH, HEIGHT, body, title)


def review_plot(errors_s: Sequence[float], doubts: Sequence[float], *, title: str) -> str:
    """Share of the total error found against the share reviewed, the doubtful first.

    Args:
        errors_s: of every boundary or clip, at least one.
        doubts: what they are ordered by, see `calibration.review_order`.
        title: for those who cannot see it.
    """
    across, up = Scale(0.0, 1.0, LEFT, WIDTH - 16), Scale(0.0, 1.0, BASE, TOP)
    body = x_axis(across, TOP, BASE, "share reviewed") + y_axis(up, LEFT, WIDTH - 16)
    body.append(line(across(0), up(0), across(1), up(1), "diagonal"))
    steps = [place / NUM_STEPS for place in range(NUM_STEPS + 1)]
    series = [
        Series(
            label=label,
            colour=colour,
            points=[(share, share_found(errors_s, order, share)) for share in steps],
        )
        for label, colour, order in (
            ("knowing the errors", "prior", review_order([abs(e) for e in errors_s])),
            ("by doubt", "model", review_order(doubts)),
        )
    ]
    for place, curve in enumerate(series):
        drawn = [(across(x), up(y)) for x, y in curve.points]
        path = "".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(drawn))
        body.append(element("path", d=path, class_=f"curve stroke-{curve.colour}"))
        x = LEFT + 140.0 * place
        body.append(element("circle", cx=x, cy=HEIGHT - 6, r=4, class_=f"fill-{curve.colour}"))
        body.append(text(x + 8, HEIGHT - 2, clipped(curve.label, 20), "tick"))
    body.append(text(LEFT - 38, 14, "share of all error found", "tick"))
    return chart(WIDTH, HEIGHT, body, title)
