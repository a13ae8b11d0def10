"""Ctrl-C ends a command within a second or two, wherever the process is.

Python hands Ctrl-C to the main thread between two of its own instructions. A forward pass, a long
decode or a pool of threads that is waited for holds that up for as long as it takes. So a thread
watches, too: the command may put its things away first, and what has not ended after `GRACE_S` is
ended. Nothing is lost by it, because every file survives being killed at any moment.
"""

import os
import signal
import sys
import threading
from typing import NoReturn

GRACE_S = 1.0
EXIT_CODE = 130
MESSAGE = "stopped. Finished work is kept: run the same command again to go on."

_interrupted = threading.Event()
_said = threading.Lock()


def watch_for_ctrl_c() -> None:
    """Install the watching thread. Call once, from the main thread."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, _raise)
    threading.Thread(target=_watch, args=(reader,), daemon=True, name="ctrl-c").start()
    sys.unraisablehook = _quiet_unraisable


def was_interrupted() -> bool:
    """Whether Ctrl-C was pressed, whatever exception came of it."""
    return _interrupted.is_set()


def stop() -> NoReturn:
    """Say so and end, without waiting for threads that are still at work."""
    if _said.acquire(blocking=False):
        show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
        if os.environ.get("RANK", "0") == "0":  # of several processes, one says it
            os.write(2, f"{show_cursor}\n{MESSAGE}\n".encode())
        os._exit(EXIT_CODE)
    threading.Event().wait()  # the other thread is ending the process
    raise AssertionError("unreachable")


def _raise(_signum: int, _frame: object) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


def _watch(reader: int) -> None:
    """Runs beside native code: the byte is written by the signal's own handler in C."""
    while signal.SIGINT not in os.read(reader, 1):
        pass
    _interrupted.set()
    second = threading.Thread(target=_wait_for_second, args=(reader,), daemon=True)
    second.start()
    second.join(GRACE_S)
    stop()


def _wait_for_second(reader: int) -> None:
    while signal.SIGINT not in os.read(reader, 1):
        pass


def _quiet_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Ctrl-C in a destructor cannot rise; the watching thread ends the command all the same."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
