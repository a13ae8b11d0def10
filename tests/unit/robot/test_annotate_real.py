"""Boundaries of real robots from the command line, against what is known of them."""

import json
from pathlib import Path

import pytest
from command_line import Program, read_rows

DATASETS = {
    "g1_yellow_bottle": ("g1_bottle_{:03d}", 8),
    "gr1_pick_place/robot_sim.PickNPlace": ("gr1_pnp_{:03d}", 2),
}
WITHIN_S = 0.25


@pytest.mark.parametrize("name", DATASETS)
def test_boundaries_lie_in_the_motion_that_ends_them(
    program: Program, shared_data: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "task.toml").write_text(
        'name = "pick and place"\nevents = ["grasping the object", "releasing the object"]\n'
    )
    truth = {
        row["id"]: row["boundaries"]
        for row in map(json.loads, (shared_data / "ground_truth.jsonl").read_text().splitlines())
    }
    title, num_episodes = DATASETS[name]
    ended = program.run(
        *("annotate", shared_data / name, "--task=task.toml", "--signals-only", "--out=out"),
        cwd=tmp_path,
    )
    assert ended.code == 0, ended.said
    rows = read_rows(tmp_path / "out" / "boundaries.jsonl")
    assert len(rows) == 2 * num_episodes
    hits = []
    for row in rows:
        known = truth[title.format(int(row["clip"][-6:]))]
        motion = known[0 if row["event"].startswith("grasping") else 1]
        hits.append(motion["start_s"] - WITHIN_S <= row["end_s"] <= motion["end_s"] + WITHIN_S)
    assert sum(hits) / len(hits) >= 0.95
    assert (tmp_path / "out" / "dataset" / "meta" / "info.json").is_file()
    # The original is as it was: no label of ours is in it.
    assert not (shared_data / name / "meta" / "kairoscope.json").exists()
