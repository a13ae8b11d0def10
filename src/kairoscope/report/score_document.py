"""The filled-in recipe for scores: the same six steps, in the figures of scores."""

from collections.abc import Mapping, Sequence
from os.path import relpath
from typing import Any

from kairoscope.core import Record
from kairoscope.metrics.scores import paired_scores
from kairoscope.report.blocks import (
    Block,
    Bullets,
    Card,
    Cards,
    Cell,
    Code,
    Contents,
    Findings,
    Heading,
    Link,
    Number,
    Paragraph,
    Plot,
    Table,
)
from kairoscope.report.figures import shown
from kairoscope.report.findings import Finding
from kairoscope.report.page import interval
from kairoscope.report.recipe_evaluation import NOT_RUN, command_block
from kairoscope.report.recipe_run import Evaluated, RecipeRun
from kairoscope.report.recipe_states import states_of, versions_block
from kairoscope.report.recipe_training import curation_blocks, training_blocks
from kairoscope.report.score_clips import given
from kairoscope.report.score_figures import best_reading, is_score
from kairoscope.report.score_page import (
    confusion_table,
    figure_rows,
    paired_rows,
    reference_plot,
    scenario_rows,
)
from kairoscope.report.score_rules import analyse_scores
from kairoscope.report.svg import short

VERDICTS = {"better": "better", "worse": "worse", "not shown": "no difference shown"}
LONGEST_ANSWER = 1500


def is_score_run(run: RecipeRun) -> bool:
    """Whether a recipe's run is about scores: what it measured, or its benchmark, says so."""
    found = run.zero_shot or run.re_evaluation
    if found is not None:
        return is_score(found.metrics)
    return run.benchmark is not None and "labels" in run.benchmark


def score_blocks(run: RecipeRun) -> list[Block]:
    """The whole document."""
    model = str(run.config.get("model", "a model"))
    workload = "Evaluation" if run.training is None else "Post-training (SFT)"
    return [
        Heading(1, f"{run.title} with {model}"),
        Paragraph(summary(run)),
        *_cards(run),
        Contents(),
        Heading(2, "Overview"),
        Table(("Model", "Workload", "Use case"), [[model, workload, run.title]], 3),
        Table(("Step", "State"), states_of(run), 2),
        versions_block(run),
        *_benchmark(run),
        *_zero_shot(run),
        *_analysis(run),
        *curation_blocks(run),
        *training_blocks(run),
        *_re_evaluation(run),
        *_conclusion(run),
    ]


def summary(run: RecipeRun) -> str:
    """The result of the whole run in a few sentences."""
    found = run.re_evaluation or run.zero_shot
    if found is None:
        return "Nothing has been evaluated in this folder yet."
    metrics = found.metrics
    own = metrics[best_reading(metrics)]["pearson"]
    words = [f"On {metrics['n_clips']} clips, the scores go with the true ones by {_r(own)}"]
    if run.zero_shot is not None and run.re_evaluation is not None:
        step = _paired(run)[best_reading(metrics)]["pearson"]
        between = interval(step["difference_ci95"])
        words[0] += f" after training, by {_r(step['before'])} before"
        words[0] += f" (difference {between} with 95 % confidence)" if between else ""
    constant = min(metrics["baselines"][name]["mae"] for name in metrics["baselines"])
    mae = metrics[best_reading(metrics)]["mae"]
    words.append(f"Mean absolute error {shown(mae)}, of the best constant {shown(constant)}")
    goal = run.targets.get("expected_pearson")
    if goal is not None and own is not None:
        words.append(f"The goal, {shown(goal)} or more, is {'' if own >= goal else 'not '}reached")
    return ". ".join(words) + "."


def _r(value: float | None) -> str:
    return "no measurable correlation" if value is None else f"a correlation of {shown(value)}"


def _paired(run: RecipeRun) -> Mapping[str, Any]:
    assert run.zero_shot is not None
    assert run.re_evaluation is not None
    return paired_scores(run.zero_shot.records, run.re_evaluation.records)


def _cards(run: RecipeRun) -> list[Block]:
    cards = []
    for name, found in (("after training", run.re_evaluation), ("zero-shot", run.zero_shot)):
        if found is not None:
            table = found.metrics[best_reading(found.metrics)]
            between = interval(table["pearson_ci95"])
            note = f"95 %: {between}" if between else "Pearson"
            cards.append(Card(f"Correlation {name}", Number(table["pearson"]), note))
    latest = run.re_evaluation or run.zero_shot
    if latest is None:
        return []
    metrics = latest.metrics
    table, wrong = metrics[best_reading(metrics)], metrics["wrong_video"]
    other = None if not wrong else wrong[best_reading(wrong)]["pearson"]
    answered = Number(100 * float(metrics["answered"] or 0), "%")
    return [
        Cards(
            [
                *cards,
                Card("Wrong-video control", Number(other), "correlation with another clip"),
                Card("Mean absolute error", Number(table["mae"]), "of the expected score"),
                Card(
                    "Skill over a constant", Number(metrics.get("skill")), "1 − error ÷ its error"
                ),
                Card("Answered", answered, "of all asked"),
            ]
        )
    ]


def _benchmark(run: RecipeRun) -> list[Block]:
    blocks: list[Block] = [Heading(2, "Step 1: Benchmark Selection")]
    found = run.benchmark
    if found is None:
        return [*blocks, Paragraph(NOT_RUN)]
    text = f"{found['n_test']} clips to test on, {found['n_train']} to train on: {found['split']}."
    rows: list[list[Cell]] = [
        [str(row["scenario"]), str(row["n_clips"]), str(row["n_groups"])]
        for row in found["scenarios"]
    ]
    labels = found.get("labels", {})
    scores = sorted({score for counts in labels.values() for score in counts})
    counted = [
        [name, *(str(counts.get(score, 0)) for score in scores)] for name, counts in labels.items()
    ]
    return [
        *blocks,
        Paragraph(text),
        Table(("Scenario", "Clips", "Groups"), rows, 1),
        Paragraph("Clips by their true score:"),
        Table(("", *scores), counted, 1),
    ]


def _zero_shot(run: RecipeRun) -> list[Block]:
    blocks: list[Block] = [Heading(2, "Step 2: Zero-shot Evaluation")]
    if run.zero_shot is None:
        return [*blocks, Paragraph(NOT_RUN)]
    config = run.zero_shot.run.config
    frames, settings = config["frames"], config["evaluation"]
    table = Table(
        ("Setting", "Value"),
        [
            ["Model", str(config["model"])],
            ["Weights", str(config["model_identity"])],
            ["Frames", f"{short(frames['fps'])} a second, at most {frames['max_frames']}"],
            ["Decoding", str(settings["decoding"])],
        ],
        2,
    )
    return [
        *blocks,
        table,
        *command_block(run.environment),
        *_evaluation(run.zero_shot, run, "zero_shot"),
    ]


_COLUMNS = ("Figure", "Expected score", "Digit", "Gain of expected", "Majority", "Wrong video")


def _evaluation(found: Evaluated, run: RecipeRun, name: str) -> list[Block]:
    """Figures, confusion, scenarios and plot of one evaluation, with a link to its page."""
    metrics = found.metrics
    rows: list[list[Cell]] = [
        [
            row["label"],
            *(
                Number(row[part]["value"], row["suffix"], row[part].get("interval"))
                for part in ("expected", "digit", "gain", "majority", "control")
            ),
        ]
        for row in figure_rows(metrics)
    ]
    blocks: list[Block] = [
        Paragraph(
            f"{metrics['n_clips']} clips of {metrics['n_groups']} groups; "
            f"{shown(100 * float(metrics['answered'] or 0), '%')} of the answers could be read, the "
            "others count as the score farthest from the truth. Intervals are 95 %, resampling groups."
        ),
        Table(_COLUMNS, rows),
        Plot(
            f"{name}_comparison",
            reference_plot([(name, metrics)], run.targets),
            "Correlation with the true scores",
        ),
        Paragraph("Clips of each true score by the digit that was answered:"),
        Table(("True", "1", "2", "3", "4", "5", "none"), _confusion(metrics), 1),
    ]
    if len(metrics["scenarios"]) > 1:
        blocks.append(Table(_BY_SCENARIO, _by_scenario(metrics)))
    page = found.run.path / "report.html"
    if page.exists():
        url = relpath(page.resolve(), run.folder.resolve())
        blocks.append(Link("Every clip with its answer", url))
    return blocks


def _confusion(metrics: Mapping[str, Any]) -> list[list[Cell]]:
    return [
        [str(row["score"]), *(cell["count"] or "0" for cell in row["cells"])]
        for row in confusion_table(metrics)["rows"]
    ]


_BY_SCENARIO = ("Scenario", "Clips", "Correlation", "Absolute error", "Exact")


def _by_scenario(metrics: Mapping[str, Any]) -> list[list[Cell]]:
    return [
        [
            str(row["name"]),
            str(row["num_clips"]),
            Number(row["pearson"], "", row["pearson_ci95"]),
            Number(row["mae"], "", row["mae_ci95"]),
            Number(row["exact"], "%"),
        ]
        for row in scenario_rows(metrics)
    ]


def _analysis(run: RecipeRun) -> list[Block]:
    blocks: list[Block] = [Heading(2, "Step 3: Problem Analysis")]
    if run.findings is None:
        blocks.append(Paragraph(NOT_RUN))
    else:
        gaps = [finding for finding in run.findings if finding.severity == "gap"]
        others = [finding for finding in run.findings if finding.severity != "gap"]
        blocks.append(Heading(3, "Key Gaps Identified"))
        blocks.append(Findings(gaps) if gaps else Paragraph("The rules found no gap."))
        if others:
            blocks += [Heading(3, "Also Observed"), Findings(others)]
    success = str(run.config.get("success") or "")
    return [*blocks, Heading(3, "Success Criteria"), Bullets([success])] if success else blocks


def _re_evaluation(run: RecipeRun) -> list[Block]:
    blocks: list[Block] = [Heading(2, "Step 6: Re-evaluation")]
    if run.re_evaluation is None:
        return [*blocks, Paragraph(NOT_RUN)]
    if run.zero_shot is not None:
        blocks += [
            Heading(3, "Results Comparison"),
            Paragraph(
                "Differences are taken over the clips that both evaluations have, on equal "
                "resamples; an interval that holds zero shows no difference."
            ),
            Table(_BEFORE_AFTER, _before_after(run), 1),
            Plot(
                "before_after",
                reference_plot(
                    [("Before", run.zero_shot.metrics), ("After", run.re_evaluation.metrics)],
                    run.targets,
                ),
                "Correlation with the true scores, before and after",
            ),
            *_examples(run.zero_shot.records, run.re_evaluation.records),
        ]
    title = Heading(3, "After Training")
    return [*blocks, title, *_evaluation(run.re_evaluation, run, "re_evaluation")]


_BEFORE_AFTER = ("Figure", "Baseline", "Post-trained", "Difference", "Verdict")


def _before_after(run: RecipeRun) -> list[list[Cell]]:
    return [
        [
            row["label"],
            Number(row["before"], row["suffix"]),
            Number(row["after"], row["suffix"]),
            Number(row["difference"], row["suffix"], row["between"], signed=True),
            VERDICTS[row["verdict"]],
        ]
        for row in paired_rows(_paired(run))
    ]


def _examples(before: Sequence[Record], after: Sequence[Record]) -> list[Block]:
    """The clip that gained most, the one in the middle and the one that lost most."""
    old = {record.sample_id: record for record in before if record.trial == 0}
    new = {record.sample_id: record for record in after if record.trial == 0}

    def step(clip: str) -> float:
        gold = int(old[clip].gold)
        return abs(given(new[clip]) - gold) - abs(given(old[clip]) - gold)

    ordered = sorted(old.keys() & new.keys(), key=lambda clip: (step(clip), clip))
    if not ordered:
        return []
    chosen = {
        "The clip that gained most": ordered[0],
        "The clip in the middle": ordered[len(ordered) // 2],
        "The clip that gained least": ordered[-1],
    }
    blocks: list[Block] = [Heading(3, "Qualitative Analysis")]
    for title, clip in chosen.items():
        first, second = old[clip], new[clip]
        blocks += [
            Paragraph(
                f"{title}: {clip} ({first.scenario}), true score {first.gold}: "
                f"{shown(given(first))} before, {shown(given(second))} after."
            ),
            Code(f"before: {_answer(first)}\nafter:  {_answer(second)}"),
        ]
    return blocks


def _answer(record: Record) -> str:
    words = record.text.strip()
    if record.failed or not words:
        return record.unparsed or "(nothing was written)"
    return words if len(words) <= LONGEST_ANSWER else f"{words[:LONGEST_ANSWER]} …"


def _conclusion(run: RecipeRun) -> list[Block]:
    blocks: list[Block] = [Heading(2, "Conclusion")]
    effect = _effect(run)
    if effect is not None:
        blocks.append(Findings([effect]))
    else:
        blocks.append(Paragraph("There are no two evaluations to compare in this folder."))
    if run.re_evaluation is not None:
        left = [
            finding
            for finding in analyse_scores(run.re_evaluation.metrics, run.targets)
            if finding.severity != "strength"
        ]
        blocks.append(Heading(3, "What Is Left"))
        blocks.append(
            Findings(left) if left else Paragraph("The rules find no gap in the trained model.")
        )
    places = (
        "zero_shot and re_evaluation: records, metrics, evaluation_results.json and a page each",
        "analysis.json and curation.json: the findings and every clip that was left out",
        "sft: settings, log and checkpoints of the training",
    )
    return [*blocks, Heading(2, "Where Everything Is"), Bullets(places)]


def _effect(run: RecipeRun) -> Finding | None:
    """Did training raise the correlation, beyond doubt?"""
    if run.zero_shot is None or run.re_evaluation is None:
        return None
    reading = best_reading(run.re_evaluation.metrics)
    step = _paired(run).get(reading, {}).get("pearson")
    if not step or step["difference"] is None:
        return None
    between = step["difference_ci95"]
    clear = between is not None and not between[0] <= 0 <= between[1]
    better = step["difference"] > 0
    words = interval(between)
    change = f"{_r(step['before'])} before, {_r(step['after'])} after"
    return Finding(
        severity="warning" if not clear else "strength" if better else "gap",
        title="Training shows no effect on the correlation"
        if not clear
        else f"Training {'raised' if better else 'lowered'} the correlation",
        detail=f"{change}; difference {shown(step['difference'])}"
        + (f" (95 %: {words})." if words else "."),
        evidence={"before": step["before"], "after": step["after"]},
    )
