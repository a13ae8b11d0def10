"""A command in several processes: the first speaks for all, and a failure is said once."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from kairoscope.cli.app import complain, err, out
from kairoscope.core import UserError

if TYPE_CHECKING:
    from kairoscope.train.group import Group  # loads torch

SEVERAL = ("sft", "grpo")
"""Commands that several processes can share."""
RAY = "--ray has a worker on each GPU answer, started by the command itself (extra ray)"
SHARD = "--shard I/N lets N processes with the same --out answer a share each, on any machines"
WAYS = {
    "evaluate": f"{SHARD}; {RAY}",
    "annotate": f"{SHARD}; {RAY}",
    "run": "train first (torchrun … sft), then evaluate with --ray",
}
"""How several GPUs or machines share a command that is not in `SEVERAL`."""
GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL")
"""What errors of collective calls say where another process has gone."""
UNMET_S = 5.0
"""How long a process waits for the first of its machine to say what is wrong before they have met."""
_joined: list["Group"] = []


def join_group() -> "Group":
    """Meet the processes that were started beside this one; all but the first fall silent.

    Raises:
        UserError: the others cannot be reached.
    """
    from kairoscope.train.group import Group

    group = Group.join()
    _joined[:] = [group]
    err.quiet = out.quiet = not group.is_first
    if group.size > 1:
        signal.signal(signal.SIGTERM, _told_to_end)
    return group


def _told_to_end(_signum: int, _frame: object) -> None:
    """What a launcher does to the others when one has failed, and a scheduler to all."""
    if speaks_for_all():
        group = _joined[0]
        complain(
            f"process {group.rank} of {group.size} was told to end (SIGTERM), as all are when one was "
            "killed, runs out of memory, or the time is up. Finished work is kept: run the same "
            "command again to go on"
        )
    end_at_once(128 + signal.SIGTERM)


def check_command(arguments: Sequence[str]) -> None:
    """Refuse several processes for a command that one must do, before they all do it."""
    if not are_several() or not arguments or arguments[0] in SEVERAL:
        return
    command = arguments[0]
    way = f". Without torchrun: {WAYS[command]}" if command in WAYS else ""
    raise UserError(
        f"{command} runs in one process, WORLD_SIZE is {os.environ['WORLD_SIZE']}; in several "
        f"(torchrun): {', '.join(SEVERAL)}{way}"
    )


def are_several() -> bool:
    """Whether the environment says that there are other processes."""
    return os.environ.get("WORLD_SIZE", "1") not in ("", "0", "1")


def speaks_for_all() -> bool:
    """Whether this process, which is failing, is the one to say so: the first that failed."""
    group = _joined[0] if _joined else None
    if group is None:
        # They have not met. The first of each machine speaks at once; its end is that of the others,
        # unless it has nothing to say.
        time.sleep(0 if os.environ.get("LOCAL_RANK", "0") == "0" else UNMET_S)
        return True
    speaks = group.is_first_to_end()
    err.quiet = not speaks
    return speaks


def lost_another(error: BaseException) -> str | None:
    """What to say where the error is that another process of the group is gone."""
    words = " ".join(str(error).split())
    if not _joined or not any(sign in words for sign in GONE):
        return None
    group = _joined[0]
    return (
        f"process {group.rank} of {group.size} has lost another, which ended without a word: killed, "
        f"or out of memory? Finished work is kept: run the same command again to go on ({words[:200]})"
    )


def end_at_once(code: int) -> NoReturn:
    """End one of several processes without waiting for the others, who may wait for it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
