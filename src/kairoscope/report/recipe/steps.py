"""The six steps of a recipe's document, whatever its answers are. See `recipe_words` for what differs."""

from dataclasses import replace

from kairoscope.report.blocks import (
    Block,
    Bullets,
    Cards,
    Contents,
    Findings,
    Heading,
    Paragraph,
    Plot,
    Table,
)
from kairoscope.report.labels.doubts import doubt_blocks
from kairoscope.report.recipe.run import RecipeRun
from kairoscope.report.recipe.states import (
    NOT_RUN,
    command_block,
    page_link,
    settings_table,
    states_of,
    versions_block,
)
from kairoscope.report.recipe.training import curation_blocks, training_blocks
from kairoscope.report.recipe.words import Words
from kairoscope.report.reinforcement import reinforcement_summary


def recipe_blocks(run: RecipeRun, words: Words) -> list[Block]:
    """The whole document."""
    return [
        *_overview(run, words),
        *_benchmark(run, words),
        *_zero_shot(run, words),
        *_analysis(run, words),
        *curation_blocks(run),
        *training_blocks(run),
        *_re_evaluation(run, words),
        *_reinforcement(run, words),
        *_conclusion(run, words),
    ]


def _overview(run: RecipeRun, words: Words) -> list[Block]:
    """Title, the result in a few sentences, and which steps were run."""
    model = str(run.config.get("model", "a model"))
    workload = "Evaluation" if run.training is None else "Post-training (SFT)"
    if run.grpo_run is not None:
        workload = "Post-training (SFT, then GRPO)"
    latest = run.re_evaluation or run.zero_shot
    cards = [] if latest is None else words.cards(run, latest)
    nothing = "Nothing has been evaluated in this folder yet."
    return [
        Heading(1, f"{run.title} with {model}"),
        Paragraph(nothing if latest is None else words.summary(run)),
        *_after_grpo(run, words),
        *([Cards(list(cards))] if cards else []),
        Contents(),
        Heading(2, "Overview"),
        Table(("Model", "Workload", "Use case"), [[model, workload, run.title]], 3),
        Table(("Step", "State"), states_of(run), 2),
        versions_block(run),
    ]


def _benchmark(run: RecipeRun, words: Words) -> list[Block]:
    """Step 1: the clips, what is asked about them, and how far one gets without looking."""
    blocks: list[Block] = [Heading(2, "Step 1: Benchmark Selection")]
    if run.benchmark is None and run.zero_shot is None:
        return [*blocks, Paragraph(NOT_RUN)]
    if run.benchmark is not None:
        found = run.benchmark
        blocks.append(
            Paragraph(
                f"{found['n_test']} clips to test on, {found['n_train']} to train on: "
                f"{found['split']}."
            )
        )
    return [*blocks, *words.benchmark(run)]


def _zero_shot(run: RecipeRun, words: Words) -> list[Block]:
    """Step 2: settings and figures of the model as it came."""
    blocks: list[Block] = [Heading(2, "Step 2: Zero-shot Evaluation")]
    if run.zero_shot is None:
        return [*blocks, Paragraph(NOT_RUN)]
    return [
        *blocks,
        Heading(3, "Run Baseline Evaluation"),
        settings_table(run.zero_shot),
        *command_block(run.environment),
        Heading(3, "Baseline Results"),
        *words.evaluation(run.zero_shot, run, "zero_shot"),
        *page_link(run.zero_shot, run),
    ]


def _analysis(run: RecipeRun, words: Words) -> list[Block]:
    """Step 3: what the rules found in the zero-shot answers, and what counts as success."""
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
    goals = [*([success] if success else []), *words.goals(run)]
    if goals:
        blocks += [Heading(3, "Success Criteria"), Bullets(goals)]
    return blocks


def _re_evaluation(run: RecipeRun, words: Words) -> list[Block]:
    """Step 6: the same benchmark with the trained model, beside what it was before."""
    blocks: list[Block] = [Heading(2, "Step 6: Re-evaluation")]
    if run.re_evaluation is None:
        return [*blocks, Paragraph(NOT_RUN)]
    if run.zero_shot is not None and (compared := words.comparison(run)):
        blocks += [Heading(3, "Results Comparison"), *compared]
    return [
        *blocks,
        Heading(3, "After Training"),
        *words.evaluation(run.re_evaluation, run, "re_evaluation"),
        *page_link(run.re_evaluation, run),
    ]


def _after_grpo(run: RecipeRun, words: Words) -> list[Block]:
    """What reinforcement learning changed, in a sentence or two."""
    if run.after_grpo is None or run.re_evaluation is None:
        return []
    return [Paragraph(f"Reinforcement learning on top of that. {words.summary(_on_top(run))}")]


def _on_top(run: RecipeRun) -> RecipeRun:
    """The run as if what the fine-tuning ended with was its beginning."""
    return replace(run, zero_shot=run.re_evaluation, re_evaluation=run.after_grpo)


def _reinforcement(run: RecipeRun, words: Words) -> list[Block]:
    """Step 7, where it was asked for: rewards, and the benchmark once more."""
    if run.grpo_run is None:
        return []
    blocks: list[Block] = [
        Heading(2, "Step 7: Reinforcement Learning"),
        *reinforcement_summary(run.grpo_run, run.targets),
    ]
    if run.after_grpo is not None:
        later = _on_top(run)
        if later.zero_shot is not None and (compared := words.comparison(later)):
            blocks += [Heading(3, "Against the Fine-tuned Model"), *compared]
        blocks += [
            Heading(3, "After Reinforcement Learning"),
            *words.evaluation(run.after_grpo, later, "after_grpo"),
            *page_link(run.after_grpo, run),
        ]
    # Plots of the same name stand in the steps before.
    return [replace(b, name=f"grpo_{b.name}") if isinstance(b, Plot) else b for b in blocks]


def _conclusion(run: RecipeRun, words: Words) -> list[Block]:
    """What was reached, what was learnt and what is left, as far as it was measured."""
    found = words.lessons(run)
    reached = [finding for finding in found if finding.severity == "strength"]
    others = [finding for finding in found if finding.severity != "strength"]
    blocks: list[Block] = [
        Heading(2, "Conclusion"),
        Heading(3, "Key Achievements"),
        Findings(reached) if reached else Paragraph(_nothing_reached(run)),
        Heading(3, "Lessons Learned"),
        Findings(others)
        if others
        else Paragraph("None of the rules over training and data found anything to warn of."),
    ]
    if run.re_evaluation is not None:
        gaps = [finding for finding in run.remaining if finding.severity != "strength"]
        nothing = Paragraph("The rules find no gap in the trained model.")
        blocks += [Heading(3, "What Is Left"), Findings(gaps) if gaps else nothing]
        if run.re_evaluation.doubts and run.re_evaluation.doubts["slots"]:
            blocks += doubt_blocks(run.re_evaluation.doubts)
    places = (
        "zero_shot and re_evaluation: records, metrics and the page of each evaluation",
        "analysis.json and curation.json: the findings and every clip that was left out",
        "sft: settings, log and checkpoints of the training",
    )
    return [*blocks, Heading(2, "Where Everything Is"), Bullets(places)]


def _nothing_reached(run: RecipeRun) -> str:
    if run.re_evaluation is None:
        return "The model was not evaluated after training in this folder."
    return "The rules over before and after found no achievement."
