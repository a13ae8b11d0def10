"""What pages of answers that are no times have in common: their frame, and facts of the run that is judged."""

from collections.abc import Sequence
from typing import Any

from kairoscope.report.answered_run import AnsweredRun, problem_rows
from kairoscope.report.clips import ClipView, Order, clip_payload
from kairoscope.report.page import embedded_json, render_page, svg
from kairoscope.report.svg import short
from kairoscope.storage import canonical_json

ARROW_STEP_S = 0.1
"""How far an arrow key goes in a clip."""


def title_of(runs: Sequence[AnsweredRun], title: str) -> str:
    """What a page is called where nobody named it: the runs."""
    return title or " · ".join(run.name for run in runs)


def answered_page(
    template: str,
    runs: Sequence[AnsweredRun],
    clips: Sequence[ClipView],
    orders: Sequence[Order],
    *,
    plot: str,
    words: bool = False,
    **parts: Any,
) -> str:
    """The HTML of one run, or of several beside each other; the last run is what is judged.

    Args:
        template: name of the page's template.
        runs: the first is what the others are compared with.
        clips: the list at the end of the page, and `orders`, by which it can be sorted.
        plot: SVG of the last run.
        words: whether the cells of clips hold texts.
        parts: everything else the template asks for.
    """
    config = runs[-1].run.config
    return render_page(
        template,
        styles=("chart.css", "page.css", "clips.css"),
        scripts=("timeline.js", "clips.js"),
        kicker="Comparison" if len(runs) > 1 else "Evaluation",
        baseline=runs[0].name,
        plot=svg(plot),
        payload=embedded_json(clip_payload(clips, orders, ARROW_STEP_S, words=words)),
        problems=problem_rows(runs[-1].run),
        settings=[("Resolved settings", canonical_json(config, indent=2))],
        **parts,
    )


def model_facts(found: AnsweredRun) -> list[tuple[str, str]]:
    """Which weights answered, and how long they took."""
    return [
        ("weights", str(found.run.config["model_identity"])[:24]),
        ("time in the model", f"{short(sum(r.seconds for r in found.records))} s"),
    ]
