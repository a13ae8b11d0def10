"""Before and after of a recipe whose answers are times of events: differences and examples."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from kairoscope.core import Record
from kairoscope.report.blocks import Block, Cell, Code, Heading, Number, Paragraph, Plot, Table
from kairoscope.report.boundaries import EventView, event_views
from kairoscope.report.curves import Lane, timeline
from kairoscope.report.figures import HEADLINE, dig, shown, step_unit
from kairoscope.report.plots import Bar, bars
from kairoscope.report.recipe.run import Evaluated, RecipeRun
from kairoscope.report.recipe.states import VERDICTS, answer_text


def comparison(run: RecipeRun) -> list[Block]:
    """Differences clip by clip, and three clips; nothing where no clip is in both."""
    if run.zero_shot is None or run.re_evaluation is None or not run.differences:
        return []
    return [
        Paragraph(
            "Differences are taken clip by clip over the clips that both evaluations have; "
            "an interval that holds zero shows no difference."
        ),
        Table(_BEFORE_AFTER, _before_after(run), 1),
        Plot("before_after", _before_after_plot(run), HEADLINE.label),
        *_examples(run.zero_shot, run.re_evaluation),
    ]


_BEFORE_AFTER = ("Metric", "Baseline", "Post-trained", "Difference", "Prior", "Verdict")


def _before_after(run: RecipeRun) -> list[list[Cell]]:
    after = {} if run.re_evaluation is None else run.re_evaluation.by_score
    rows: list[list[Cell]] = []
    for step in run.differences:
        unit = step.kind.suffix
        prior = after[step.kind.score].prior if step.kind.score in after else None
        rows.append(
            [
                step.kind.label,
                Number(step.before, unit),
                Number(step.after, unit),
                Number(step.difference, step_unit(unit), step.interval, signed=True),
                Number(prior, unit),
                VERDICTS[step.verdict],
            ]
        )
    ratios = [
        None if found is None else dig(found.metrics, "wrong_video/mre_ratio")
        for found in (run.zero_shot, run.re_evaluation)
    ]
    if any(ratio is not None for ratio in ratios):
        cells: list[Cell] = [Number(ratio) for ratio in ratios]
        rows.append(["Wrong video, times the error", *cells, "–", "–", "–"])
    return rows


def _before_after_plot(run: RecipeRun) -> str:
    rows = []
    pairs = (("Before", run.zero_shot, "other"), ("After", run.re_evaluation, "model"))
    for label, found, colour in pairs:
        figure = None if found is None else found.by_score.get(HEADLINE.score)
        if figure is not None:
            rows.append(
                Bar(
                    label=label,
                    value=figure.value,
                    interval=figure.interval,
                    colour=colour,
                    note="%",
                )
            )
            if label == "After" and figure.prior is not None:
                rows.append(
                    Bar(label="No-video prior", value=figure.prior, colour="prior", note="%")
                )
    unit = f"% {HEADLINE.label.lower()}"
    return bars(rows, title=HEADLINE.label, unit=unit, aim=run.targets.get("mre_percent"))


def _examples(before: Evaluated, after: Evaluated) -> list[Block]:
    """The clip that gained most, the one in the middle and the one that lost most."""
    steps: list[tuple[float, str]] = []
    for clip, old in before.scores.items():
        new = after.scores.get(clip)
        first = old.columns[HEADLINE.score]
        second = None if new is None else new.columns[HEADLINE.score]
        if first is not None and second is not None:
            steps.append((second - first, clip))
    if not steps:
        return []
    steps.sort()
    chosen = {
        "The clip that gained most": steps[0],
        "The clip in the middle": steps[len(steps) // 2],
        "The clip that lost most" if steps[-1][0] > 0 else "The clip that gained least": steps[-1],
    }
    old_records, new_records = first_records(before.records), first_records(after.records)
    blocks: list[Block] = [Heading(3, "Qualitative Analysis")]
    seen: set[str] = set()
    for number, (title, (step, clip)) in enumerate(chosen.items(), 1):
        if clip not in seen:
            seen.add(clip)
            example = _example(title, step, old_records[clip], new_records[clip])
            blocks += [
                Paragraph(example),
                Plot(f"example_{number}", _lanes(old_records[clip], new_records[clip]), title),
                *_texts(old_records[clip], new_records[clip]),
            ]
    return blocks


def _example(title: str, step: float, before: Record, after: Record) -> str:
    """What changed in one clip, in words."""
    events = event_views(before)
    names = ", ".join(f"{event.place + 1} {event.name}" for event in events)
    old, new = _median_error_s(events), _median_error_s(event_views(after))
    words = f"{title}: {before.sample_id} ({before.scenario}). Events: {names}."
    if old is not None and new is not None:
        words += f" Median error of its ends {old:.2f} s before, {new:.2f} s after."
    return f"{words} Its mean relative error changed by {shown(step, ' points')}."


def _median_error_s(events: Sequence[EventView]) -> float | None:
    errors = [abs(event.end_error_s) for event in events if event.end_error_s is not None]
    return median(errors) if errors else None


def _lanes(before: Record, after: Record) -> str:
    old, new = event_views(before), event_views(after)
    truth = [(*event.gold, event.place) for event in old if event.gold is not None]
    lanes = [Lane("truth", truth)]
    for name, events in (("before", old), ("after", new)):
        lanes.append(Lane(name, [(*e.answer, e.place) for e in events if e.answer is not None]))
    ends = [end for lane in lanes for _, end, _ in lane.spans]
    duration_s = max(before.duration_s, after.duration_s) or max(ends, default=1.0)
    return timeline(lanes, duration_s, title=f"Timeline of {before.sample_id}")


def _texts(before: Record, after: Record) -> list[Block]:
    truth = "\n".join(
        f"Event {event.place + 1}: <{event.gold[0]:.2f}> <{event.gold[1]:.2f}> {event.name}"
        for event in event_views(before)
        if event.gold is not None
    )
    return [
        Paragraph("Before:"),
        Code(answer_text(before.text, before.unparsed, failed=before.failed)),
        Paragraph("After:"),
        Code(answer_text(after.text, after.unparsed, failed=after.failed)),
        Paragraph("Ground truth:"),
        Code(truth),
    ]


def first_records(records: Sequence[Record]) -> dict[str, Record]:
    """Sample id -> its first trial."""
    by_id: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_id[record.sample_id].append(record)
    return {name: min(found, key=lambda r: r.trial) for name, found in by_id.items()}
