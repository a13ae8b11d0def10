"""What computes: versions, platform and command line of a process."""

import datetime
import importlib.metadata
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

VERSIONED = ("kairoscope", "torch", "transformers", "peft", "av", "numpy")


def environment() -> dict[str, Any]:
    """Versions of what computes, the platform and the command line, as JSON values."""
    versions = {"python": platform.python_version()}
    for package in VERSIONED:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    program = Path(sys.argv[0]).name if sys.argv else ""
    # As `python -m kairoscope` it has the name of a file that nobody can call.
    command = [program.replace("__main__.py", "kairoscope"), *sys.argv[1:]] if sys.argv else []
    return {
        "versions": versions,
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "command": shlex.join(command),
        "started_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
