"""Find the image file that a row of a table names, and none outside of the dataset's folder."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_cifar.errors import InputError

# How columns that name files are called; the first is the one of `datasets`.
FILE_COLUMNS = (
    *("file_name", "image_file_name", "filename", "file", "image_path", "filepath", "path", "image", "img"),
    *("image_name", "image_id", "name", "id"),
)
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "photos", "pictures")
TRIED = 20  # rows that are looked at to find the column


class NamedImages:
    """The images of a folder, by the names that rows give them.

    Args:
        images: all of them.
        folder: that holds them; a name that leads out of it is refused.
    """

    def __init__(self, images: Sequence[Path], folder: Path) -> None:
        self.folder = os.path.abspath(folder)
        self._by_path = {os.path.abspath(path): path for path in images}
        self._by_name: dict[str, list[Path]] = {}
        for path in images:
            for name in {path.name, path.stem}:
                self._by_name.setdefault(name, []).append(path)

    def column(
        self, rows: Sequence[dict[str, Any]], columns: Sequence[str], base: Path, splits: Sequence[str]
    ) -> str | None:
        """Return the column that names images: a usual one, or else the only one; None if there is none.

        A column file_name is taken at its word, so that a file that it names and that is missing is found out.

        Args:
            rows: of the table.
            columns: all of them.
            base: folder of the table.
            splits: that the table's name says.
        """
        usual = sorted(
            (name for name in columns if name.lower() in FILE_COLUMNS),
            key=lambda name: FILE_COLUMNS.index(name.lower()),
        )
        if usual and usual[0].lower() == FILE_COLUMNS[0] and rows:
            return usual[0]
        for name in (*usual, *(name for name in columns if name not in usual)):
            if any(self._place(row.get(name), base, splits) for row in rows[:TRIED]):
                return name
        return None

    def find(self, value: Any, base: Path, splits: Sequence[str], where: str) -> Path:
        """Return the image that a cell names.

        Args:
            value: of the cell: a path, with or without the folder of the images, or a name without its suffix.
            base: folder of the table.
            splits: that the table's name says; folders of these names are searched too.
            where: file and row, for messages.

        Raises:
            InputError: it names nothing, no image that is there, or a file outside of the folder.
        """
        if value is None or not str(value).strip():
            raise InputError(f"{where} names no file: fill it or remove the row")
        if self._leads_out(str(value), base):
            raise InputError(f"{where} names {str(value)!r}, which is outside of {self.folder}: move the image into it")
        path = self._place(value, base, splits)
        if path is None:
            raise InputError(f"{where} names {str(value)!r}: there is no such image below {base}")
        return path

    def _leads_out(self, name: str, base: Path) -> bool:
        path = os.path.abspath(os.path.join(base, name.replace("\\", "/")))
        return os.path.commonpath([path, self.folder]) != self.folder

    def _place(self, value: Any, base: Path, splits: Sequence[str]) -> Path | None:
        name = "" if value is None else str(value).strip().replace("\\", "/")
        if not name or "\0" in name or self._leads_out(name, base):
            return None
        for folder in ("", *IMAGE_FOLDERS):
            for split in ("", *splits):
                path = self._by_path.get(os.path.abspath(os.path.join(base, folder, split, name)))
                if path is not None:
                    return path
        if "/" in name:
            return None
        known = [path for path in self._by_name.get(name, []) if path.is_relative_to(base)]
        return known[0] if len(known) == 1 else None
