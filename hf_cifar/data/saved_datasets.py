"""Datasets that `Dataset.save_to_disk` has written."""

from pathlib import Path

import datasets

from hf_cifar.data.split_names import usual_split
from hf_cifar.errors import InputError
from hf_cifar.utils.json_files import read_object

DICT_FILE, STATE_FILE, INFO_FILE = "dataset_dict.json", "state.json", "dataset_info.json"


def is_saved_dataset(folder: Path) -> bool:
    """Return whether `save_to_disk` has written a folder, or folders of splits in it."""
    return (folder / DICT_FILE).is_file() or bool(_parts(folder))


def read_saved_dataset(folder: Path) -> tuple[dict[str, datasets.Dataset], dict[str, list[Path]]]:
    """Open the splits of a saved dataset.

    Returns:
        The table of each split and the files that it was read from.

    Raises:
        InputError: it is damaged, has no usual split, or names a file outside of its folder.
    """
    tables, files = {}, {}
    for name, part in _parts(folder).items():
        paths = _arrow_files(part)
        try:
            table = datasets.Dataset.load_from_disk(str(part), keep_in_memory=False).with_format(None)
        except (OSError, ValueError, KeyError, TypeError, datasets.exceptions.DatasetsError) as error:
            raise InputError(f"{part} cannot be read as a saved dataset ({_short(error)})") from error
        split = usual_split(name) or (usual_split(str(table.split or "train")) if part == folder else None)
        if split is not None:
            tables[split], files[split] = table, paths
    if not tables:
        raise InputError(f"--dataset {folder} has none of the usual splits; its splits: {', '.join(_parts(folder))}")
    return tables, files


def _parts(folder: Path) -> dict[str, Path]:
    """Return the folders of splits by name; the folder itself where it holds a single table."""
    if (folder / DICT_FILE).is_file():
        names = read_object(folder / DICT_FILE, str(folder / DICT_FILE)).get("splits")
        if not isinstance(names, list) or not all(_is_plain(name) for name in names):
            raise InputError(f"{folder / DICT_FILE} does not list the splits of a saved dataset")
        return {name: folder / name for name in names}
    if _is_table(folder):
        return {folder.name: folder}
    return {path.name: path for path in sorted(folder.iterdir()) if usual_split(path.name) and _is_table(path)}


def _is_table(folder: Path) -> bool:
    return (folder / STATE_FILE).is_file() and (folder / INFO_FILE).is_file()


def _arrow_files(folder: Path) -> list[Path]:
    """Return the files of a table, which its state must name without a folder."""
    listed = read_object(folder / STATE_FILE, str(folder / STATE_FILE)).get("_data_files")
    items = listed if isinstance(listed, list) else []
    names = [str(item.get("filename") or "") if isinstance(item, dict) else "" for item in items]
    if not names or not all(_is_plain(name) for name in names):
        raise InputError(f"{folder / STATE_FILE} does not list the files of a saved dataset in its own folder")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder / missing[0]} is missing: save the dataset again")
    return [folder / name for name in names]


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and name not in ("", ".", "..") and "/" not in name and "\\" not in name


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:150]
