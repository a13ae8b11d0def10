"""Tensors on disk under the hash of all that they depend on: whole, checked, made once.

An entry is a safetensors file that is written beside its place and moved there, so a kill at any
moment leaves whole entries only. Its checksum finds what a failing disk or a power cut has changed;
such an entry counts as absent and is made again.
"""

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import getnode

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from kairoscope.core import UserError
from kairoscope.data.clips import hash_clip
from kairoscope.storage import canonical_json, is_alive

FORMAT = 2
"""Part of every key: entries that an older version has written are not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is kept of a clip."""

    tensors: dict[str, torch.Tensor]
    notes: dict[str, Any]
    """Plain data, such as the times of its frames."""


class DiskCache:
    """A folder of entries. May be used by many threads and processes, and by several runs."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which is made with the first entry."""
        self.folder = folder
        self._whole: set[str] = set()
        self._digests: dict[Path, str] = {}

    def path(self, key: str) -> Path:
        """Where an entry is, or would be."""
        return self.folder / key[:2] / f"{key}.safetensors"

    def clip_digest(self, video: Path) -> str:
        """SHA-256 of a clip's bytes, which are read once. Raises UnreadableClip."""
        if video not in self._digests:
            self._digests[video] = hash_clip(video)
        return self._digests[video]

    def has(self, key: str) -> bool:
        """Whether there is a whole entry. Reads it once; a damaged one is deleted."""
        if key in self._whole:
            return True
        if not self.path(key).exists():
            return False
        return self.get(key) is not None

    def notes(self, key: str) -> dict[str, Any] | None:
        """The notes of an entry that `has` has found whole; its tensors are not read."""
        try:
            with safe_open(self.path(key), framework="pt") as file:
                return dict(json.loads(file.metadata()["notes"]))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            return None

    def get(self, key: str) -> Entry | None:
        """An entry, or None where there is none. The first reading of a process compares checksums."""
        path = self.path(key)
        try:
            with safe_open(path, framework="pt") as file:
                notes = file.metadata()
                tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
                whole = key in self._whole or int(notes["checksum"]) == _checksum(tensors)
                found = Entry(tensors=tensors, notes=json.loads(notes["notes"]))
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            whole, found = False, None
        if not whole:
            self._whole.discard(key)
            with suppress(OSError):
                path.unlink()
            return None
        self._whole.add(key)
        return found

    def put(self, key: str, tensors: Mapping[str, torch.Tensor], notes: Mapping[str, Any]) -> None:
        """Write an entry, whole or not at all.

        Raises:
            UserError: it could not be written, because the disk is full for example.
        """
        path = self.path(key)
        kept = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        about = {"checksum": str(_checksum(kept)), "notes": canonical_json(notes)}
        temporary = path.with_name(f".{key}.{getnode():x}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not `save_file`: a kill leaves its own temporary file, which nobody can tell is ours.
            temporary.write_bytes(save(kept, metadata=about))
            temporary.replace(path)
        except BaseException as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise UserError(
                    f"{path}: could not be written ({error.strerror or error}); what is kept already "
                    "stays: free some space, or name another cache_folder, and run the same command "
                    "again"
                ) from error
            raise

    def free_bytes(self) -> int:
        """Space that is left where the cache is."""
        place = self.folder
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free

    def clear_leftovers(self) -> None:
        """Delete what processes of this machine that are gone have left half written."""
        for part in self.folder.glob("??/.*.part"):
            node, _, pid = part.name.removesuffix(".part").rpartition(".")
            here = node.endswith(f".{getnode():x}")
            if here and not (pid.isdigit() and is_alive(int(pid))):
                with suppress(OSError):
                    part.unlink()


def _checksum(tensors: Mapping[str, torch.Tensor]) -> int:
    """CRC-32 of names, shapes and bytes."""
    value = 0
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        value = zlib.crc32(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode(), value)
        value = zlib.crc32(tensor.flatten().view(torch.uint8).numpy().data, value)
    return value


def key_of(**parts: Any) -> str:
    """The key of what depends on `parts` (plain data or dataclasses) and on nothing else."""
    return hashlib.sha256(canonical_json({"format": FORMAT, **parts}).encode()).hexdigest()[:40]


def weights_digest(module: torch.nn.Module) -> str:
    """SHA-256 of the names and values of a module's weights, whatever device they are on."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        exact = value.detach().cpu().float().contiguous()
        digest.update(f"{name}{tuple(exact.shape)}".encode())
        digest.update(exact.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
