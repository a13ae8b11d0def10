"""Where the meshes and textures of a recorded model lie on this machine.

robosuite keeps absolute paths of the machine that recorded. What stands behind the package's name in
them is the same everywhere, so a file is looked for by the longest tail of its recorded path that is
there: below the folders the user names, then below installed packages, which are not imported.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from posixpath import normpath

from kairoscope.core import UserError
from kairoscope.robot.episode import UnreadableEpisode

PACKAGES = ("robosuite", "mimicgen", "robosuite_task_zoo")
"""Packages whose models robosuite's simulations are made of."""
_SAME = {"mimicgen_envs": "mimicgen"}
"""Earlier name of a package -> its name."""
_KINDS = ("mesh", "texture", "hfield", "skin")
_FOLDERS = {"mesh": "meshdir", "texture": "texturedir", "hfield": "meshdir", "skin": "meshdir"}
_MOST_NAMED = 3


@dataclass(slots=True)
class Assets:
    """Looks for asset files; what was found is remembered."""

    folders: tuple[Path, ...]
    """As the user named them, tried first: a package, a folder with packages, or a checkout."""
    _found: dict[str, str | None] = field(default_factory=dict)

    def at_home(self, model_xml: str, where: str) -> str:
        """The model with every asset path pointing to a file of this machine.

        Args:
            model_xml: MJCF text as recorded.
            where: file and demonstration, for messages.

        Raises UnreadableEpisode for text that is no MJCF, and where files are nowhere to be found.
        """
        try:
            root = ElementTree.fromstring(model_xml)
        except ElementTree.ParseError as error:
            raise UnreadableEpisode(f"{where}: its model_file is not XML ({error})") from error
        if root.tag != "mujoco":
            raise UnreadableEpisode(
                f"{where}: its model_file is <{root.tag}>, a MuJoCo model begins with <mujoco>"
            )
        missing: dict[str, None] = {}
        for element, key, recorded in _files(root):
            path = self._find(recorded)
            if path is None:
                missing[recorded] = None
            else:
                element.set(key, path)
        if missing:
            raise UnreadableEpisode(f"{where}: {self._lacking(list(missing))}")
        return ElementTree.tostring(root, encoding="unicode")

    def _find(self, recorded: str) -> str | None:
        if recorded not in self._found:
            self._found[recorded] = self._search(recorded)
        return self._found[recorded]

    def _search(self, recorded: str) -> str | None:
        if Path(recorded).is_absolute() and Path(recorded).is_file():
            return recorded
        # robosuite writes `arenas/../textures`.
        parts = [part for part in normpath(recorded.replace("\\", "/")).split("/") if part]
        for folder in self.folders:
            for start in range(len(parts)):
                path = folder.joinpath(*parts[start:])
                if path.is_file():
                    return str(path.resolve())
        return self._in_package(parts)

    def _in_package(self, parts: Sequence[str]) -> str | None:
        """By what follows the last mention of an installed package."""
        for place in range(len(parts) - 1, -1, -1):
            home = installed(_SAME.get(parts[place], parts[place]))
            if home is not None:
                path = home.joinpath(*parts[place + 1 :])
                if path.is_file():
                    return str(path)
        return None

    def _lacking(self, missing: Sequence[str]) -> str:
        """What to say about files that are not there."""
        named = ", ".join(missing[:_MOST_NAMED]) + (", …" if len(missing) > _MOST_NAMED else "")
        mentioned = {
            _SAME.get(part, part) for path in missing for part in path.replace("\\", "/").split("/")
        }
        lacking = [name for name in PACKAGES if name in mentioned and installed(name) is None]
        hint = f"; not installed here: {', '.join(lacking)}" if lacking else ""
        count = "1 asset file is" if len(missing) == 1 else f"{len(missing)} asset files are"
        return f"{count} not on this machine ({named}){hint}; name a folder that has them with --assets"


def assets_in(folders: Sequence[Path]) -> Assets:
    """Assets below folders of the user's, then in installed packages.

    Raises UserError for a folder that is not there.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"--assets {folder}: no such folder")
    # A checkout has the name of its package, and the package in it.
    inside = [f / p for f in folders for name in PACKAGES for p in (name, f"{name}/{name}")]
    chosen = [*folders, *(folder for folder in inside if folder.is_dir())]
    return Assets(folders=tuple(folder.resolve() for folder in chosen))


def installed(package: str) -> Path | None:
    """The folder of an installed package of `PACKAGES`, found without importing it; else None."""
    if package not in PACKAGES:
        return None
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _files(root: ElementTree.Element) -> Iterator[tuple[ElementTree.Element, str, str]]:
    """(element, attribute, path) of every file that a model names, its folders put before it."""
    compiler: dict[str, str] = {}
    for element in root.findall("compiler"):
        compiler.update(element.attrib)
    shared = compiler.get("assetdir", "")
    for asset in root.findall("asset"):
        for kind in _KINDS:
            folder = compiler.get(_FOLDERS[kind], shared)
            for element in asset.findall(kind):
                for key, value in element.attrib.items():
                    if key.startswith("file") and value:
                        is_whole = PurePosixPath(value).is_absolute() or ":" in value
                        yield element, key, value if is_whole or not folder else f"{folder}/{value}"
