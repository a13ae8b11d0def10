"""What a user meets: help, messages, exit codes, clean output."""

import json
import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import EVENTS, Program, read_rows, write_rows

LONG = "a_folder_with_a_rather_long_name_as_data_sets_have_them/" * 4


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_help_is_quick_and_loads_no_model_code() -> None:
    code = (
        "import sys; sys.argv = ['kairoscope', '--help']\n"
        "from kairoscope.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "loaded = {'torch', 'transformers', 'av', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'loaded {loaded}' if loaded else 0)\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = python(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode == 0, ended.stderr
    for name in ("annotate", "evaluate", "sft", "run", "report", "convert", "doctor"):
        assert f" {name} " in ended.stdout
    # 0.17 s on a quiet core; other work on the machine makes the same instructions slower.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.9


def test_no_command_shows_the_help(program: Program, tmp_path: Path) -> None:
    ended = program.run(cwd=tmp_path)
    assert ended.code == 2
    assert "annotate" in ended.out + ended.err
    version = program.run("--version", cwd=tmp_path)
    assert version.code == 0
    assert version.out.startswith("kairoscope ")


ANNOTATE = ("annotate", "data", "--task=data/square.toml", "--out=out")
EVALUATE = ("evaluate", "subtask-times", "--data=data", "--model=model", "--out=out")
SFT = ("sft", "subtask-times", "--data=data", "--model=model", "--out=out")
MISTAKES = [
    (("annotate", LONG, "--task=coffee", "--out=out"), f"error: {LONG.rstrip('/')}: no such file"),
    (("annotate", "data", "--task=nosuch", "--out=out"), "task 'nosuch' is not shipped"),
    (
        (*ANNOTATE, "--model=vllm:./nosuch"),
        "--model vllm:./nosuch: there is no such folder",
    ),
    ((*ANNOTATE, "--model=openai:m"), "--model openai:m: "),
    ((*ANNOTATE, "--model=model", "--base-url=http://h/v1"), "--base-url and what goes with it"),
    ((*SFT[:-2], "--model=openai:m", "--out=out"), "openai:m: an OpenAI-compatible server can be"),
    (
        (*ANNOTATE, "--model=./nosuch"),
        "--model ./nosuch: there is no such folder; allowed: builtin",
    ),
    ((*ANNOTATE, "--model=data"), "--model data: no config.json in this folder"),
    ((*ANNOTATE, "--model=model", "--decoding=best"), "decoding is 'best'; allowed: 'free', "),
    ((*ANNOTATE, "--model=model", "--device=tpu"), "device 'tpu'; this machine has: cpu"),
    ((*ANNOTATE, "--model=model", "--frames=fps=0"), "frames: fps is 0; allowed: 0.1 to 60"),
    ((*ANNOTATE, "--model=model", "--frames=speed=1"), "frames: unknown speed; allowed: fps, "),
    ((*ANNOTATE, "--model=model", "--prompt=nosuch.yaml"), "nosuch.yaml: cannot be read"),
    ((*EVALUATE, "--trials=0"), "trials is 0; allowed: 1 to 1000"),
    ((*EVALUATE, "--temperature=-1"), "temperature is -1; allowed: 0 to 10"),
    ((*EVALUATE, "--config=data/square.toml"), "data/square.toml: unknown 'name'; allowed: [sft]"),
    (("evaluate", "poetry", "--data=data", "--out=out"), "no recipe 'poetry'; there are: subtask"),
    (("evaluate", "subtask-times", "--data=model", "--out=out"), "model: holds no data; expected"),
    ((*SFT, "--set=batch_size=0"), "--set: batch_size is 0; allowed: 1 to 65536"),
    ((*SFT, "--set=learning_rate=fast"), "--set: learning_rate is 'fast'; allowed: a number"),
    ((*SFT, "--set=betas=[0.9]"), "betas is [0.9]; allowed: a list of 2"),
    ((*SFT, "--held-out=data"), "held-out and training data share groups, such as"),
    (("new-model", "model", "--data=data"), "model: is there already"),
    (("run", "subtask-times", "--out=out"), "--data is needed"),
    (("run", "subtask-times", "--data=data", "--stages=bake"), "--stages bake: allowed: benchmark"),
    (("report", "data"), "data is no run: it has no config.json"),
    (("score", "nosuch.jsonl", "--gold=data"), "nosuch.jsonl: no such file"),
    (("stamp", "data/a.mp4", "out.txt"), "out.txt: a stamped file ends in one of .mp4"),
    (("stamp", "data", "out", "--preset=swift"), "preset 'swift': choose one of ultrafast"),
    (("frames", "data/labels.jsonl"), "data/labels.jsonl: not a video"),
    (("frames", "data/a.mp4", "--fps=900"), "--fps: fps is 900; allowed: 0.1 to 60"),
    (("convert", "data", "out.jsonl"), "out.jsonl: labels become a dataset"),
    (
        ("annotate", "", "--task=coffee", "--out=out"),
        'kairoscope annotate "": empty; is a variable',
    ),
    ((*ANNOTATE[:-1], "--out="), "--out: empty; is a variable of the shell not set?"),
    ((*SFT, "--set=batch_size=100000000"), "batch_size is 100000000; allowed: 1 to 65536"),
    ((*SFT, "--set=seed=99999999999"), "seed is 99999999999; allowed: 0 to 4294967295"),
    ((*SFT, f"--set=learning_rate=1{'0' * 400}"), "allowed: a number"),
    ((*EVALUATE, "--seed=-1"), "seed is -1; allowed: 0 to 4294967295"),
    ((*ANNOTATE, "--model=model", "--frames=max_frames=1"), "max_frames is 1; allowed: 2 or more"),
    (("stamp", "nowhere", "out"), "nowhere: No such file or directory"),
    (("frames", "data/a.mp4", "--sheet=data/b.mp4"), "--sheet data/b.mp4: allowed: the name of a"),
    (("convert", "model", "out.jsonl"), "model: the folder has no labels.jsonl"),
    (("simulate", "--out=data", "--clips=1"), "data is not empty and holds no simulation"),
]


@pytest.mark.parametrize(("args", "said"), MISTAKES, ids=[" ".join(m[0])[:60] for m in MISTAKES])
def test_a_mistake_is_one_message(
    args: tuple[str, ...], said: str, program: Program, world: Path, tmp_path: Path
) -> None:
    for name in ("data", "model"):
        (tmp_path / name).symlink_to(world / name)
    ended = program.run(*args, cwd=tmp_path)
    assert ended.code == 2, ended.said
    assert ended.out == ""
    [line] = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert said in line, ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "out").exists() or "tpu" in said


def test_damaged_runs_are_named(program: Program, world: Path, tmp_path: Path) -> None:
    for name in ("data", "model"):
        (tmp_path / name).symlink_to(world / name)
    assert program.run(*EVALUATE, "--no-control", cwd=tmp_path).code == 0
    damages = [
        ("metrics.json", "[]", "out/metrics.json: not the metrics of an evaluation"),
        ("records.jsonl", "{}\n", "out/records.jsonl: not a record"),
        ("environment.json", "[]", "out/environment.json: was not written by kairoscope"),
        ("config.json", '{"format": 1, "kind": "x", "config": []}', "out/config.json: was not"),
    ]
    for file, content, said in damages:
        before = (tmp_path / "out" / file).read_bytes()
        (tmp_path / "out" / file).write_text(content)
        again = (*EVALUATE, "--no-control")
        args = again if file == "environment.json" else ("report", "out")
        ended = program.run(*args, cwd=tmp_path)
        assert ended.code == 2, ended.said
        assert said in ended.err
        (tmp_path / "out" / file).write_bytes(before)


def test_the_last_checkpoint_is_not_called_the_best(
    program: Program, world: Path, tmp_path: Path
) -> None:
    """Of clips of one recording none can be held out; what is left out is named before the training."""
    (tmp_path / "model").symlink_to(world / "model")
    (tmp_path / "data").mkdir()
    rows = read_rows(world / "data" / "labels.jsonl")[:2]
    for row in rows:
        (tmp_path / "data" / row["video"]).symlink_to(world / "data" / row["video"])
    write_rows(tmp_path / "data", [{**row, "group": "one"} for row in rows])
    few = ("--set=max_steps=1", "--set=batch_size=2")
    ended = program.run(*SFT, *few, cwd=tmp_path)
    assert "trained on 2 clips, 0 held out, 0 left out; last checkpoint, step 1 of 1" in ended.out
    write_rows(tmp_path / "data", [{**row, "duration_s": 99.0} for row in rows])
    ended = program.run(*SFT[:-1], "--out=other", *few, cwd=tmp_path)
    assert ended.code == 2, ended.said
    assert ended.err.count("left out: ") == 2
    assert "labels say 99 s" in ended.err
    assert "error: no sample is left to train on" in ended.err


def test_names_are_never_taken_for_markup(program: Program, world: Path, tmp_path: Path) -> None:
    (tmp_path / "[red]data[bold]").symlink_to(world / "data")
    answers = tmp_path / "[bold]answers.jsonl"
    rows = read_rows(world / "data" / "labels.jsonl")
    lines = [{"video": row["video"], "events": row["events"]} for row in rows]
    lines.append({"video": "[blink]nowhere[/blink].mp4", "text": "\x1b[31m"})
    answers.write_text("\n".join(json.dumps(line) for line in lines))
    ended = program.run("score", answers.name, "--gold", "[red]data[bold]", cwd=tmp_path)
    assert ended.code == 0, ended.said
    assert "[bold]answers.jsonl against [red]data[bold]" in " ".join(ended.out.split())
    assert "video '[blink]nowhere[/blink].mp4' has no labels" in ended.err
    assert "\x1b" not in ended.out + ended.err
    plain = program.run("score", answers.name, "--gold", "[red]data[bold]", "--json", cwd=tmp_path)
    assert plain.err == ""
    assert json.loads(plain.out)["problems"]["unknown_videos"] == 1


def test_labels_become_a_dataset_and_labels_again(
    program: Program, world: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").symlink_to(world / "data")
    for args in (("data", "set", "--video-root", "."), ("set", "again.jsonl", "--video-root", ".")):
        ended = program.run("convert", *args, cwd=tmp_path)
        assert ended.code == 0, ended.said
    before, after = (read_rows(tmp_path / name) for name in ("data/labels.jsonl", "again.jsonl"))
    for old, new in zip(before, after, strict=True):
        assert new["video"] == f"data/{old['video']}"
        for key in ("group", "task", "duration_s"):
            assert new[key] == old[key]
        for one, other in zip(old["events"], new["events"], strict=True):
            assert other["name"] == one["name"]
            assert other["end_s"] == pytest.approx(one["end_s"], abs=6e-4)


def test_old_pickles_become_labels_and_predictions(
    program: Program, world: Path, tmp_path: Path
) -> None:
    text = "\n".join(f"Event {i}: <{i - 1}.0> <{i}.0> {name}" for i, name in enumerate(EVENTS, 1))
    prompts = {"system_prompt": "", "responses": {"a.mp4": text, "b.mp4": "nothing"}}
    (tmp_path / "prompts.pkl").write_bytes(pickle.dumps(prompts))
    (tmp_path / "results_a.pkl").write_bytes(
        pickle.dumps({"video_path": "v/a.mp4", "fps8": [text]})
    )
    labels = program.run("convert", "prompts.pkl", "labels.jsonl", cwd=tmp_path)
    assert labels.out == "labels.jsonl: 1 label, 1 left out\n", labels.said
    made = program.run("convert", "results_a.pkl", "made.jsonl", "--trials=2", cwd=tmp_path)
    assert made.out == "made.jsonl: 2 predictions, 0 left out\n", made.said
    scored = program.run("score", "made.jsonl", "--gold", "labels.jsonl", "--json", cwd=tmp_path)
    metrics = json.loads(scored.out)
    assert metrics["n_trials"] == 2
    assert metrics["answered"] == 0.5
    assert metrics["ends"]["answered_only"]["mae_s"] == 0


def test_a_pickle_with_code_in_it_is_not_run(program: Program, tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, ("touch owned",)

    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Code()))
    ended = program.run("convert", "evil.pkl", "out.jsonl", cwd=tmp_path)
    assert ended.code == 2
    assert "wants to load posix.system" in ended.err
    assert [file.name for file in tmp_path.iterdir()] == ["evil.pkl"]


def test_another_prompt_is_another_run(program: Program, world: Path, tmp_path: Path) -> None:
    for name in ("data", "model"):
        (tmp_path / name).symlink_to(world / name)
    (tmp_path / "p.yaml").write_text("user_prompt: |\n  Find these {n}:\n  {events}\n")
    asked = (*EVALUATE, "--no-control")
    ended = program.run(*asked, "--prompt=p.yaml", cwd=tmp_path)
    assert ended.code == 0, ended.said
    refused = program.run(*asked, cwd=tmp_path)
    assert refused.code == 2
    assert "prompt: 'user_prompt: |\\n  Find these" in refused.err


def test_a_settings_file_serves_every_command(
    program: Program, world: Path, tmp_path: Path
) -> None:
    for name in ("data", "model"):
        (tmp_path / name).symlink_to(world / name)
    (tmp_path / "c.toml").write_text(
        "[sft]\nmax_steps = 1\nbatch_size = 2\n[frames]\nfps = 2\n"
        '[evaluation]\ndecoding = "constrained"\n[evaluation.sampling]\ntrials = 2\n'
    )
    assert program.run(*EVALUATE, "--config=c.toml", cwd=tmp_path).code == 0
    sft = program.run(*SFT[:-1], "--out=tuned", "--config=c.toml", "--frames=fps=3", cwd=tmp_path)
    assert sft.code == 0, sft.said
    config, tuned = (
        json.loads((tmp_path / name / "config.json").read_text())["config"]
        for name in ("out", "tuned")
    )
    assert (config["frames"]["fps"], config["evaluation"]["sampling"]["trials"]) == (2.0, 2)
    assert config["evaluation"]["decoding"] == "constrained"
    assert (tuned["frames"]["fps"], tuned["sft"]["max_steps"]) == (3.0, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_an_output_that_cannot_be_written_is_said(
    options: list[str], world: Path, tmp_path: Path
) -> None:
    rows = read_rows(world / "data" / "labels.jsonl")
    answers = [json.dumps({"video": row["video"], "events": row["events"]}) for row in rows]
    (tmp_path / "answers.jsonl").write_text("\n".join(answers))
    command = [sys.executable, "-c", "from kairoscope.cli import main; main()", "score"]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [*command, "answers.jsonl", "--gold", str(world / "data"), *options],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            text=True,
            check=False,
        )
    assert ended.returncode == 2
    assert ended.stderr == "error: the output could not be written: No space left on device\n"


def test_a_fault_of_ours_shows_no_traceback(tmp_path: Path) -> None:
    code = (
        "from kairoscope.cli import ending, main\n"
        "def broken():\n    raise TypeError('an [odd] thing')\n"
        "ending.app = broken\nmain()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "a fault of kairoscope itself, TypeError: an [odd] thing" in ended.stderr
    [kept] = tmp_path.iterdir()
    assert str(kept) in ended.stderr.replace("\n", "")
    assert "in broken" in kept.read_text()


def test_a_warm_up_of_most_of_the_run_is_warned_of(
    program: Program, world: Path, tmp_path: Path
) -> None:
    for name in ("data", "model"):
        (tmp_path / name).symlink_to(world / name)
    few = ("--set=max_steps=2", "--set=batch_size=2")
    for args in (SFT, ("warm-up-vision", "seeing", *SFT[2:-1])):
        quiet = program.run(*args, *few, cwd=tmp_path)
        assert quiet.code == 0, quiet.said
        assert "warning" not in quiet.err
        other = [arg.replace("=out", "=out2").replace("seeing", "seeing2") for arg in args]
        loud = program.run(*other, *few, "--set=warmup_steps=2", cwd=tmp_path)
        assert loud.code == 0, loud.said
        assert "warning: warmup_steps is 2 and the run has 2 steps" in loud.err
    plan = ("run", "subtask-times", *SFT[2:], *few, "--set=warmup_steps=2", "--dry-run")
    assert "warmup_steps is 2" in program.run(*plan, cwd=tmp_path).out


def test_rows_that_cannot_be_used_are_counted(
    program: Program, world: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    write_rows(tmp_path / "data", [*read_rows(world / "data" / "labels.jsonl"), "{broken"])
    ended = program.run("convert", "data", "set", cwd=tmp_path)
    assert ended.code == 0, ended.said
    assert ended.out == "set: 8 conversations, 1 left out\n"
    assert "left out: data/labels.jsonl:9: not JSON" in ended.err


def test_help_names_every_recipe() -> None:
    from kairoscope.cli.options import RECIPE_NAMES
    from kairoscope.recipes import RECIPES

    assert RECIPE_NAMES.replace(" or ", ", ").split(", ") == list(RECIPES)
