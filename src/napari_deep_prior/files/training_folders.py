"""The images of folders that a network is trained on, and the clean ones beside them."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

from .folders import images_in


def training_files(places: Iterable[str], pattern: str | None, *, results: Path) -> Iterator[tuple[Path, str]]:
    """Yield every image of folders, or single images, once, and what it is called.

    Parameters
    ----------
    places : iterable of str
        Folders and files.
    pattern, results : str or None, Path
        See :func:`.images_in`.

    Raises
    ------
    ValueError
        If there is no such folder, or no image in it.
    """
    known = set()
    for given in places:
        folder = Path(given)
        if folder.is_dir() and folder.suffix.lower() != ".zarr":
            inside = images_in(folder, pattern, results=results)
            every = [(folder / file, (folder / file).as_posix()) for file in inside]
        else:
            every = [(folder, folder.as_posix())]
        for path, name in every:
            if path.resolve() not in known:
                known.add(path.resolve())
                yield path, name


def clean_file(folder: Path, noisy: Path) -> Path:
    """Return the file of the clean image of a noisy one: of its name, with whatever ending.

    Raises
    ------
    ValueError
        If there is none, or no such folder.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {str(folder)!r} of clean images")
    exact = folder / noisy.name
    found = [exact] if exact.exists() else sorted(folder.glob(f"{glob.escape(noisy.stem)}.*"))
    if not found:
        raise ValueError(
            f"{str(noisy)!r} has no clean image of its name in {str(folder)!r}: add one, or leave the noisy one out "
            "with --pattern"
        )
    return found[0]
