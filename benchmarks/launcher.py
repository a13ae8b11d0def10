"""A small process between a benchmark and the command that it measures.

Linux begins the `ru_maxrss` of a new process with the size that its parent has, or once had, and so
do the two that Python's `subprocess` starts programs with. Started from here the command begins with
the few MiB of a Python that has imported nothing.

    python -I -S launcher.py FD PROGRAM ARGUMENT...

writes the process id to the file descriptor FD at once, and when the program has ended its exit code,
CPU seconds, wall seconds and `ru_maxrss`. All of these are of the program and what it started.
"""

import os
import sys
import time


def main() -> None:
    """Start, say which, wait, say what it took."""
    target, command = int(sys.argv[1]), sys.argv[2:]
    started = time.perf_counter()
    closed = [(os.POSIX_SPAWN_CLOSE, target)]
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=closed)
    os.write(target, b"%d\n" % pid)
    _, status, usage = os.wait4(pid, 0)
    wall_s = time.perf_counter() - started
    code = os.waitstatus_to_exitcode(status)
    cpu_s = usage.ru_utime + usage.ru_stime
    os.write(target, f"{code} {cpu_s!r} {wall_s!r} {usage.ru_maxrss}\n".encode())


if __name__ == "__main__":
    main()
