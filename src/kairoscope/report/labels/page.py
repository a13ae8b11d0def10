"""The page of `kairoscope curate`: what is left out, how even the labels are, which are in doubt."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kairoscope.core import UserError
from kairoscope.report.blocks import Block, Heading, Link, Paragraph
from kairoscope.report.document import write_document
from kairoscope.report.figures import counted
from kairoscope.report.labels.doubts import doubt_blocks, worst_blocks
from kairoscope.report.recipe.training import curated_blocks
from kairoscope.runs import Run

PAGE, ANSWERS, DOUBTS = "curation", "answers", "label_doubts.json"


def write_curation_page(folder: Path) -> Path:
    """Write `curation.html` and `curation.md` and return the path of the HTML.

    Raises `UserError` where nothing was curated in the folder yet.
    """
    run = Run.read(folder)
    found = run.read_json("curation.json")
    if found is None:
        raise UserError(f"{folder}: has no curation.json yet; run the same curate command again")
    blocks = curation_page_blocks(run, found, run.read_json(DOUBTS))
    return write_document(blocks, folder, PAGE, kicker="Curation")[1]


def curation_page_blocks(
    run: Run, found: Mapping[str, Any], doubts: Mapping[str, Any] | None
) -> list[Block]:
    """The whole document."""
    blocks: list[Block] = [
        Heading(1, f"Clips and labels for {run.config['task']}"),
        Paragraph(verdict(found, doubts)),
        Heading(2, "What Training Would Use"),
        *curated_blocks(found),
    ]
    if doubts is None:
        return blocks
    blocks += [
        Heading(2, "What a Model Says of Them"),
        *doubt_blocks(doubts),
        *worst_blocks(doubts),
    ]
    if (folder := run.path / ANSWERS / "report.html").exists():
        blocks.append(Link("Every clip with its answer", f"{ANSWERS}/{folder.name}"))
    return blocks


def verdict(found: Mapping[str, Any], doubts: Mapping[str, Any] | None) -> str:
    """The result in a sentence or two."""
    used = found["n_train"] + found["n_held_out"]
    words = f"Of {counted(found['n_in'], 'sample')}, {used} can be used"
    left = ", ".join(f"{n} {reason}" for reason, n in found["dropped"].items())
    words += f" and {found['n_dropped']} cannot ({left})." if left else "."
    if doubts is None:
        return f"{words} With --model, labels that a model contradicts are listed, too."
    if not doubts["num_labels"]:
        return f"{words} The model is no judge of these labels."
    return (
        f"{words} Of {counted(doubts['num_labels'], 'label')} that the model can judge, it contradicts "
        f"{doubts['num_contradicted']} with high confidence."
    )
