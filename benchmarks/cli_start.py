"""How soon `kairoscope --help` is there, and what it imports for that."""

import re
import subprocess
import sys

from benchmarks.commands import CommandRun, kairoscope_command, run_command
from benchmarks.harness import REPOSITORY, spread
from benchmarks.results import Goal, Result, Table, announce, arguments, number, span, write

HEAVY = ("torch", "transformers", "av", "datasets", "numpy", "matplotlib")
COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "--version": [*kairoscope_command(), "--version"],
    "--help": [*kairoscope_command(), "--help"],
    "annotate --help": [*kairoscope_command(), "annotate", "--help"],
}
LIMIT_S = 0.3


def imported_modules() -> list[tuple[str, int]]:
    """(module, microseconds of its own) of everything that `kairoscope --help` imports."""
    start = "import sys; sys.argv = ['kairoscope', '--help']; import kairoscope.cli as c; c.main()"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", start],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", done.stderr)
    if not any(name == "kairoscope.cli.app" for _, name in found):
        raise RuntimeError("the command line was not imported: its import times say nothing")
    return [(name, int(own)) for own, name in found]


def heavy_ones(modules: list[tuple[str, int]]) -> list[str]:
    """Those packages that a help text must not wait for."""
    packages = {name.partition(".")[0] for name, _ in modules}
    return sorted(packages & set(HEAVY))


def result(runs: dict[str, list[CommandRun]], modules: list[tuple[str, int]]) -> Result:
    """Tables and goals."""
    rows = tuple(
        (
            "a bare Python" if name == "python" else f"`kairoscope {name}`",
            span(spread([run.wall_s for run in done])),
            span(spread([run.cpu_s for run in done])),
            number(spread([run.peak_mib for run in done]).median),
        )
        for name, done in runs.items()
    )
    packages: dict[str, int] = {}
    for name, own_us in modules:
        package = name.partition(".")[0]
        packages[package] = packages.get(package, 0) + own_us
    dearest = sorted(packages.items(), key=lambda item: -item[1])[:8]
    heavy = heavy_ones(modules)
    return Result(
        name="cli_start",
        title="Start of the command line",
        what=(
            "Commands from start to end, files in the disk cache. Every command imports what it "
            "needs when it runs; a help text needs next to nothing."
        ),
        tables=(
            Table(
                title="Time and memory",
                columns=("command", "wall s", "CPU s", "peak MiB"),
                rows=rows,
            ),
            Table(
                title=f"What `--help` imports: {len(modules)} modules, dearest packages",
                columns=("package", "ms (`-X importtime`, itself slower)"),
                rows=tuple((name, number(own_us / 1000)) for name, own_us in dearest),
            ),
        ),
        goals=(
            Goal(
                text="`kairoscope --help`, wall time",
                limit=LIMIT_S,
                value=spread([run.wall_s for run in runs["--help"]]).median,
                unit=" s",
            ),
            Goal(
                text=f"packages it imports of {', '.join(HEAVY)}",
                limit=0,
                value=len(heavy),
            ),
        ),
        notes=tuple(f"imports {name}" for name in heavy),
        data={
            "runs": {
                name: [(run.wall_s, run.cpu_s, run.peak_mib) for run in done]
                for name, done in runs.items()
            },
            "modules": modules,
        },
        packages=("typer", "rich"),
    )


def main(argv: list[str]) -> None:
    """Measure and write."""
    options = arguments("cli_start", __doc__, argv, default_rounds=15)
    runs: dict[str, list[CommandRun]] = {name: [] for name in COMMANDS}
    for command in COMMANDS.values():
        run_command(command)  # compiled files and the disk cache
    for number_of_round in range(options.rounds):
        announce(f"round {number_of_round + 1} of {options.rounds}")
        for name, command in COMMANDS.items():
            runs[name].append(run_command(command, every_s=0.002))
    write(result(runs, imported_modules()), options)


if __name__ == "__main__":
    main(sys.argv[1:])
