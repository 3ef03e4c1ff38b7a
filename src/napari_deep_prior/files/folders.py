"""The images of a folder, and the names of their results in another one."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from .images import PLAIN_ENDINGS, TIFF_ENDINGS

TABLE = "deep-prior-batch.csv"
"""Name of the table of a batch, in the folder of its results."""


def images_in(folder: Path, pattern: str | None, *, results: Path) -> list[Path]:
    """Return the files of a folder, relative to it and sorted; no folders, no hidden files, and none of the results.

    Parameters
    ----------
    pattern : str or None
        Which of them, such as ``*.tif``, or ``**/*.tif`` with those in its folders; None: all images by their ending.
    results : Path
        The folder of the results, which may lie in the folder.

    Raises
    ------
    ValueError
        If there is no such folder, it is that of the results, or no file is found.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {str(folder)!r}")
    inside, own = Path(os.path.realpath(folder)), Path(os.path.realpath(results))
    if own == inside:
        raise ValueError(f"the results would replace the images of {str(folder)!r}: choose another folder for them")
    try:
        found = sorted(file.relative_to(folder) for file in folder.glob(pattern or "*") if not file.is_dir())
    except (ValueError, NotImplementedError) as error:
        raise ValueError(f"the pattern is {pattern!r}; it must be one of names, such as '*.tif': {error}") from error
    files = [
        file
        for file in found
        if file.name != TABLE
        and not any(part.startswith(".") for part in file.parts)
        and not (own.is_relative_to(inside) and Path(os.path.realpath(folder / file.parent)).is_relative_to(own))
        and (pattern is not None or file.suffix.lower() in (*TIFF_ENDINGS, *PLAIN_ENDINGS))
    ]
    if not files:
        what = "no images" if pattern is None else f"no files that match {pattern!r}"
        raise ValueError(f"there are {what} in the folder {str(folder)!r}")
    return files


def names_of_results(files: Sequence[Path]) -> list[Path]:
    """Return the names of the results of files: their own, that of a TIFF where they are none.

    Raises
    ------
    ValueError
        If two of them are one, also where a file system does not tell capital letters from small ones.
    """
    names = [file if file.suffix.lower() in TIFF_ENDINGS else file.with_suffix(TIFF_ENDINGS[0]) for file in files]
    taken: dict[str, Path] = {}
    for file, name in zip(files, names, strict=True):
        key = unicodedata.normalize("NFC", name.as_posix()).casefold()
        if key in taken:
            raise ValueError(
                f"{taken[key].as_posix()!r} and {file.as_posix()!r} would have one result, {name.as_posix()!r}: rename "
                "one of them, or choose some of the files with --pattern"
            )
        taken[key] = file
    return names


def own_file(path: str | None, file: Path, result: Path) -> str | None:
    """Return a file that is given for all images; of a folder the one with the name of the image or of its result."""
    if path is None or not Path(path).is_dir():
        return path
    own = Path(path) / file
    return str(own if own.exists() or not (Path(path) / result).exists() else Path(path) / result)
