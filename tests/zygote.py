"""Imports the program once and forks a process for every command: real commands, real signals.

Reads one JSON object a line: `{"args", "cwd", "stdout", "stderr", "hook"}` starts a command and is
answered with `{"pid"}`; `{"wait": pid}` is answered with `{"code"}`, negative for a signal.
"""

import json
import os
import resource
import signal
import sys
from typing import Any


def main() -> None:
    """Serve until standard input ends."""
    import kairoscope.cli.ending
    import kairoscope.recipes.convert
    import kairoscope.recipes.pipeline
    import kairoscope.video.sheet  # noqa: F401

    for line in sys.stdin:
        ask = json.loads(line)
        if "wait" in ask:
            _, status = os.waitpid(ask["wait"], 0)
            answer = {"code": os.waitstatus_to_exitcode(status)}
        else:
            pid = os.fork()
            if pid == 0:
                _command(ask)
            answer = {"pid": pid}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    os._exit(0)  # nothing to put away, and taking torch down takes a second


def _command(ask: dict[str, Any]) -> None:
    """Be the command; never returns."""
    import torch

    from kairoscope.cli import main as command

    torch.set_num_threads(1)
    os.chdir(ask["cwd"])
    for number, name in ((1, ask["stdout"]), (2, ask["stderr"])):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False)
    sys.argv = ["kairoscope", *ask["args"]]
    _prepare(**ask["hook"])
    code: object = 0
    try:
        command()
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def _prepare(
    *,
    send: int | None = None,
    after: int = 1,
    of: str = "rows",
    file_limit: int | None = None,
) -> None:
    """Arrange for a fault.

    Args:
        send: signal that the command gets.
        after: how many `of` it may finish before.
        of: `rows` of a run, `frames` that are stamped, or `files` of a folder that is written whole.
        file_limit: no file may grow beyond so many bytes, as on a disk that is full.
    """
    if file_limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    if send is None:
        return
    count = 0

    def counted(done: Any) -> Any:
        def call(*values: Any, **named: Any) -> Any:
            nonlocal count
            result = done(*values, **named)
            count += 1
            if count == after:
                os.kill(os.getpid(), send)
            return result

        return call

    if of == "rows":
        import kairoscope.runs as module

        module.append_lines = counted(module.append_lines)  # type: ignore[attr-defined]
    elif of == "files":
        os.fsync = counted(os.fsync)
    else:
        from kairoscope.video.overlay import Overlay

        Overlay.draw = counted(Overlay.draw)  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
