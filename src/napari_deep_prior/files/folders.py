"""The images of a folder, which may be files or Zarr folders, and the names of their results in another one."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from .images import PLAIN_ENDINGS, TIFF_ENDINGS
from .zarr_reader import OME_ZARR_ENDING, ZARR_ENDING, bytes_of_zarr, is_zarr_name

TABLE = "deep-prior-batch.csv"
"""Name of the table of a batch, in the folder of its results."""


def images_in(folder: Path, pattern: str | None, *, results: Path) -> list[Path]:
    """Return the images of a folder, relative to it and sorted; no hidden files, and none of the results.

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
        found = sorted(file.relative_to(folder) for file in folder.glob(pattern or "*") if _may_be_image(file))
    except (ValueError, NotImplementedError) as error:
        raise ValueError(f"the pattern is {pattern!r}; it must be one of names, such as '*.tif': {error}") from error
    files = [
        file
        for file in found
        if file.name != TABLE
        and not any(part.startswith(".") for part in file.parts)
        and not any(map(is_zarr_name, file.parents))
        and not (own.is_relative_to(inside) and Path(os.path.realpath(folder / file.parent)).is_relative_to(own))
        and (pattern is not None or file.suffix.lower() in (*TIFF_ENDINGS, *PLAIN_ENDINGS, ZARR_ENDING))
    ]
    if not files:
        what = "no images" if pattern is None else f"no files that match {pattern!r}"
        raise ValueError(f"there are {what} in the folder {str(folder)!r}")
    return files


def _may_be_image(path: Path) -> bool:
    return not path.is_dir() or is_zarr_name(path)


def size_of(image: Path) -> int:
    """Return the bytes of an image; 0 if there are none, since a link may lead nowhere.

    Of one in Zarr those of its pixels, by its metadata: to look at all of its chunks takes time.
    """
    if image.is_dir():
        return bytes_of_zarr(image)
    return image.stat().st_size if image.is_file() else 0


def names_of_results(files: Sequence[Path], *, zarr: bool = False) -> list[Path]:
    """Return the names of the results of images: their own where those are of TIFF or Zarr, else of a TIFF.

    Parameters
    ----------
    zarr : bool
        Whether all results are OME-Zarr.

    Raises
    ------
    ValueError
        If two of them are one, also where a file system does not tell capital letters from small ones.
    """
    names = [_name_of_result(file, zarr=zarr) for file in files]
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


def _name_of_result(file: Path, *, zarr: bool) -> Path:
    if is_zarr_name(file) or (file.suffix.lower() in TIFF_ENDINGS and not zarr):
        return file
    if not zarr:
        return file.with_suffix(TIFF_ENDINGS[0])
    return file.with_name(f"{file.stem.removesuffix('.ome')}{OME_ZARR_ENDING}")


def own_file(path: str | None, file: Path, result: Path) -> str | None:
    """Return a file that is given for all images; of a folder the one with the name of the image or of its result."""
    if path is None or not Path(path).is_dir():
        return path
    own = Path(path) / file
    return str(own if own.exists() or not (Path(path) / result).exists() else Path(path) / result)
