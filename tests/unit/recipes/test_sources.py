"""Several data sets with weights, as options and in files."""

import json
from pathlib import Path
from typing import Any

import pytest

from kairoscope.core import UserError
from kairoscope.recipes.sources import Source, load_sources, parse_source, sources_from_table
from kairoscope.train.mixing import epoch_size, strata_of


def labels(folder: Path, *names: str, group: str | None = None) -> Path:
    folder.mkdir(parents=True)
    rows: list[dict[str, Any]] = [
        {
            "video": f"{name}.mp4",
            "events": [{"name": "grasp", "end_s": 1.0}],
            "group": group or name,
        }
        for name in names
    ]
    (folder / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder


@pytest.mark.parametrize(
    ("text", "path", "weight"),
    [("a/b", "a/b", 1.0), ("a=0.3", "a", 0.3), ("a=b=2", "a=b", 2.0), ("a=1e-1", "a", 0.1)],
)
def test_a_path_and_perhaps_a_weight(text: str, path: str, weight: float) -> None:
    assert parse_source(text) == Source(path=Path(path), weight=weight)


def test_what_is_there_as_a_whole_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run=2").mkdir()
    assert parse_source("run=2") == Source(path=Path("run=2"))


@pytest.mark.parametrize("text", ["a=x", "a=0", "a=-1", "a=nan", "a=inf"])
def test_a_weight_is_a_number_above_nothing(text: str) -> None:
    with pytest.raises(UserError, match=f"^--data {text}: weight .*; allowed: a number above 0"):
        parse_source(text)


def test_weights_in_a_file() -> None:
    found = sources_from_table({"a": 1, "b": 0.3}, "f.toml [data]")
    assert found == (Source(path=Path("a")), Source(path=Path("b"), weight=0.3))
    with pytest.raises(UserError, match=r"f.toml \[data\]: b = '3'; allowed: a number above 0"):
        sources_from_table({"b": "3"}, "f.toml [data]")


def test_samples_of_several_sources_keep_apart_and_groups_do_not(tmp_path: Path) -> None:
    a = labels(tmp_path / "a", "one", "two", group="demo_1")
    b = labels(tmp_path / "b", "one", "two", "three", "four", group="demo_1")
    loaded = load_sources([Source(path=a), Source(path=b, weight=0.5)])
    assert [s.id for s in loaded.samples] == [
        *("a/one.mp4", "a/two.mp4"),
        *("b/one.mp4", "b/two.mp4", "b/three.mp4", "b/four.mp4"),
    ]
    assert {s.group for s in loaded.samples} == {"demo_1"}
    strata = strata_of(loaded.samples, "none", loaded.mix)
    assert [(s.name, s.per_epoch) for s in strata] == [("a", 2), ("b", 2)]


def test_sources_of_one_name_are_told_apart(tmp_path: Path) -> None:
    sources = [
        Source(path=labels(tmp_path / kind / "train", "one")) for kind in ("real", "simulated")
    ]
    assert len({sample.id for sample in load_sources(sources).samples}) == 2


def test_one_source_is_as_without_a_mix(tmp_path: Path) -> None:
    a = labels(tmp_path / "a", "one", "two")
    loaded = load_sources([Source(path=a)])
    assert [s.id for s in loaded.samples] == ["one.mp4", "two.mp4"]
    assert not loaded.mix.weights
    twice = load_sources([Source(path=a, weight=2)])
    assert epoch_size(strata_of(twice.samples, "none", twice.mix)) == 4


def test_a_source_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    a = labels(tmp_path / "a", "one")
    with pytest.raises(UserError, match="is given twice"):
        load_sources([Source(path=a), Source(path=tmp_path / "b" / ".." / "a", weight=2)])
