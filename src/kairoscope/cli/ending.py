"""How a command ends: 0 done, 1 checks failed, 2 something the user can put right, 130 Ctrl-C."""

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper

from kairoscope.cli import interrupt, processes
from kairoscope.cli.app import app, complain
from kairoscope.core import UserError

FAULT, USER_ERROR = 1, 2
VERBS = (
    *("whole", "annotation", "review", "plotting", "evaluation", "judging", "video"),
    *("curation", "training", "reinforcement", "planning", "merging"),
    *(
        "inspection",
        "reporting",
        "conversion",
        "export",
        "rendering",
        "world",
        "preparing",
        "cache",
        "doctor",
    ),
)
"""Modules with commands, in the order of the help."""


def run_command() -> None:
    """Run what the command line says; never shows a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # File names need not be text; what cannot be printed is printed as an escape.
            stream.reconfigure(errors="backslashreplace")
    try:
        _check_arguments(sys.argv[1:])
        processes.check_command(sys.argv[1:])
        for module in VERBS:
            import_module(f"kairoscope.cli.{module}")
        app()
    except BaseException as error:
        _end(error)
        raise


def _check_arguments(arguments: Sequence[str]) -> None:
    """Refuse an empty one, which as a path would mean the folder that one is in."""
    for place, argument in enumerate(arguments):
        if not argument or (argument.startswith("--") and argument.endswith("=")):
            named = argument.rstrip("=") or " ".join(["kairoscope", *arguments[:place], '""'])
            raise UserError(f"{named}: empty; is a variable of the shell not set?")


def _end(error: BaseException) -> None:
    """End the process as its error asks for; return where a command has ended by itself."""
    code = error.code if isinstance(error, SystemExit) else None
    if (
        isinstance(error, KeyboardInterrupt)
        or code == interrupt.EXIT_CODE
        or interrupt.was_interrupted()
    ):
        interrupt.stop()
    if isinstance(error, SystemExit):
        return
    message = _for_user(error) or processes.lost_another(error)
    code = FAULT if message is None else USER_ERROR
    if not processes.are_several() or processes.speaks_for_all():
        if message is None:
            report_fault(error)
        else:
            complain(message)
    if processes.are_several():
        processes.end_at_once(code)
    sys.exit(code)


def _for_user(error: BaseException) -> str | None:
    """What to tell the user, where it is not a fault of the program."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror or error}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        return f"the output could not be written: {error.strerror}"
    if _out_of_memory(error):
        return (
            "there is not enough memory; try a smaller --batch-size, --set micro_batch_size=1, or "
            f"fewer pixels (--frames total_pixels=…) ({' '.join(str(error).split())[:200]})"
        )
    return None


def _out_of_memory(error: BaseException) -> bool:
    """Of Python, of a GPU, or of torch on a CPU, which has no class of its own."""
    named = type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError)
    return named or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def report_fault(error: BaseException) -> None:
    """Keep the traceback in a file for a report, and say in a line what happened."""
    words = " ".join(str(error).split())[:500]
    lines = [f"a fault of kairoscope itself, {type(error).__name__}: {words}"]
    with suppress(OSError):
        descriptor, name = tempfile.mkstemp(prefix="kairoscope-fault-", suffix=".txt", text=True)
        with os.fdopen(descriptor, "w", errors="backslashreplace") as file:
            file.write(f"{' '.join(sys.argv)}\n")
            traceback.print_exception(error, file=file)
        lines.append(f"Please report it with the file {name}; finished work is kept.")
    complain("\n".join(lines))
