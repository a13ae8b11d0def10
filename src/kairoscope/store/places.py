"""Where the store lies, and on what kind of disk."""

import os
from pathlib import Path

VARIABLE = "KAIROSCOPE_STORE"
OFF = "off"
"""As the value of the variable: no store unless `--store` names one."""
NAME = "answers.sqlite"
_NETWORK = (
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs"),
    *("afs", "9p", "virtiofs", "orangefs", "pvfs2", "wekafs", "fuse", "fuseblk"),
)


def default_path() -> Path | None:
    """The user's store; None where the environment turns it off or there is no home."""
    named = os.environ.get(VARIABLE, "")
    if named == OFF:
        return None
    if named:
        return Path(named).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if cache.is_absolute():  # the standard has all others ignored
        return cache / "kairoscope" / NAME
    try:
        return Path.home() / ".cache" / "kairoscope" / NAME
    except RuntimeError:
        return None


def is_on_network(path: Path) -> bool:
    """Whether other machines may write the same disk, as far as the system says."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    resolved = path.resolve()
    best, kind = -1, ""
    for mount in mounts:
        fields, _, source = mount.partition(" - ")
        place = fields.split()[4].encode().decode("unicode_escape") if fields else ""
        if (
            place
            and (resolved == Path(place) or Path(place) in resolved.parents)
            and len(place) >= best
        ):
            best, kind = len(place), source.split()[0] if source else ""
    return kind.partition(".")[0] in _NETWORK
