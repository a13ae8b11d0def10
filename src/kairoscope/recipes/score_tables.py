"""Where the rows of a set of scores come from: a table, files of a dataset, a dataset on disk or on the hub."""

from pathlib import Path
from typing import Any

from kairoscope.core import UserError
from kairoscope.data.conversations import is_dataset
from kairoscope.data.sheets import SUFFIXES, Sheet, SheetRow, read_sheet

BUILDERS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".arrow": "arrow"}
"""Files that `datasets` reads one by one."""
INSTEAD = (
    "Without a network, fetch the dataset elsewhere and give its file (.csv, .parquet, .jsonl), the folder of "
    "its files, or what save_to_disk wrote"
)


def read_table(source: str, *, sheet: str | None = None, split: str | None = None) -> Sheet:
    """The rows of a source.

    Args:
        source: a file, a folder, or a name on the hub.
        sheet: of a workbook with several.
        split: of a dataset with several.

    Raises:
        UserError: nothing of the kind, a hub that cannot be reached, several splits and none named.
    """
    path = Path(source)
    if path.suffix.lower() in SUFFIXES:
        return read_sheet(path, sheet)
    loaded = _loaded(source, path)
    if isinstance(loaded, dict):
        names = list(loaded)
        chosen = split or (names[0] if len(names) == 1 else None)
        if chosen not in names:
            raise UserError(f"{source}: --split {chosen}; it has {', '.join(names)}")
        loaded = loaded[chosen]
    rows = [
        SheetRow(where=f"{source}: row {i}", cells=dict(row)) for i, row in enumerate(loaded, 1)
    ]
    return Sheet(columns=tuple(loaded.column_names), rows=tuple(rows), problems=())


def _loaded(source: str, path: Path) -> Any:
    """What `datasets` makes of it: a dataset, or a dict of splits."""
    import datasets

    on_disk = path.exists()
    try:
        if is_dataset(path):
            return datasets.load_from_disk(str(path.absolute()))
        builder = BUILDERS.get(path.suffix.lower())
        if builder is not None:
            if not path.is_file():
                raise UserError(f"{source}: no such file")
            return datasets.load_dataset(builder, data_files=str(path.absolute()))
        return datasets.load_dataset(str(path.absolute()) if on_disk else source)
    except (OSError, ValueError, LookupError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())
        if on_disk:
            raise UserError(f"{source}: holds no dataset that can be read: {reason}") from error
        if isinstance(error, ConnectionError):
            raise UserError(
                f"{source}: is not on this disk, and the hub cannot be reached ({reason}). {INSTEAD}"
            ) from error
        raise UserError(
            f"{source}: neither a table ({' '.join(SUFFIXES)}), a dataset on disk nor one that the hub "
            f"gives: {reason}"
        ) from error
