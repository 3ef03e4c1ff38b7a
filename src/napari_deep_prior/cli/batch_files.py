"""The files of a batch: the options of each of them, and how it is opened and written."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, final

from ..files import images
from ..files.folders import images_in, names_of_results, own_file
from ..files.images import TIFF_ENDINGS
from ..files.results import read_result
from ..files.zarr_reader import is_zarr_name
from ..runs.batch import Earlier, Scores, Work
from ..runs.batch_folders import WorkInFolder
from ..runs.comparison import Comparison
from ..runs.forecast import Forecast
from ..runs.restoration import Restoration
from ..runs.result import Result
from ..runs.setup import Setup
from ..tasks import TASKS
from ..tasks.inputs import INPUTS
from .deliver import write_checks, write_result
from .inputs import FileReader, given_text, place_of
from .large import elsewhere
from .paths import CHECKS, outputs_of, refuse_paths
from .restore import open_run, refuse_outlook


@final
class FileWork(Work):
    """A file that was read, and the run that restores it."""

    def __init__(self, options: argparse.Namespace, file: images.ImageFile, setup: Setup, files: FileReader) -> None:
        super().__init__(setup)
        self._options, self._file, self._files = options, file, files
        self._comparison: Comparison | None = None

    def earlier(self) -> Earlier | None:
        """Return what lies where the result is to go; the same result without its checks is made anew."""
        options, path = self._options, Path(self._options.output)
        if not path.exists():
            return None
        found = read_result(path)
        record = {} if found is None else found.record
        if found is None or record.get("identity") != self.setup.identity:
            return None if options.overwrite else Earlier(record=record)
        if not all(Path(other).exists() for _, other in outputs_of(options)):
            self._options = argparse.Namespace(**vars(options) | {"overwrite": True})
            return None
        comparison = self._compared(Restoration(self.setup))
        return Earlier(record=record, scores=None if comparison is None else comparison.scores(found.pixels))

    def refuse(self, run: Restoration, plan: Forecast) -> None:
        """Raise a ValueError, before the first step, if something cannot be written or compared."""
        refuse_paths(self._options)
        self._comparison = self._compared(run)
        refuse_outlook(self.setup, plan, self._options)

    def write(self, result: Result) -> Scores | None:
        """Write the result and its checks."""
        write_result(result, self._file, self.setup.factors, self._options)
        write_checks(result, self._file, self._options, tell=_keep_quiet)
        return None if self._comparison is None else self._comparison.scores(result.image)

    def _compared(self, run: Restoration) -> Comparison | None:
        return Comparison.of(
            self._options.reference, run, self._file.pixels, lambda path: self._files.other(path).pixels
        )


def open_file(options: argparse.Namespace) -> Work:
    """Read a file and what is given with it; for the table the residual is looked at where the result is a file."""
    # What is to be known of the files is in the record, and in the table.
    files = FileReader(_keep_quiet)
    file, setup = open_run(options, files, diagnostics=True)
    setup = elsewhere(setup, options)
    if is_zarr_name(options.output):
        return WorkInFolder(setup, file, Path(options.output), overwrite=options.overwrite)
    return FileWork(options, file, setup, files)


def options_of_files(options: argparse.Namespace) -> list[argparse.Namespace]:
    """Return, for every file of a batch, the options of a command that restores it alone.

    Raises
    ------
    ValueError
        If there are no files, two of them have one result, or a folder is needed and something else is given.
    """
    folder, out = Path(options.folder), Path(options.output)
    for name in ("output", *CHECKS):
        path = getattr(options, name)
        if path is not None and (Path(path).is_file() or Path(path).suffix.lower() in (*TIFF_ENDINGS, ".png")):
            label = "OUT" if name == "output" else f"--{name}"
            raise ValueError(f"{label} is {path!r}; it must be a folder, for the files of all images")
    for path in (options.reference, options.reference_folder, *_given_files(options)):
        if path is not None and not Path(path).exists():
            raise ValueError(f"there is no file or folder {path!r}")
    files = images_in(folder, options.pattern, results=out)
    names = names_of_results(files, zarr=options.zarr)
    return [_of_file(options, file, name) for file, name in zip(files, names, strict=True)]


def make_folders(every: Sequence[argparse.Namespace]) -> None:
    """Make the folders of all outputs."""
    for folder in sorted({Path(path).parent for options in every for _, path in outputs_of(options)}):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"cannot make the folder {str(folder)!r}: {error.strerror}") from error


def _of_file(options: argparse.Namespace, file: Path, result: Path) -> argparse.Namespace:
    changes: dict[str, Any] = {
        "input": str(Path(options.folder) / file),
        "output": str(Path(options.output) / result),
        "save_settings": None,
        "save_model": None,
    }
    for name in CHECKS:
        place = getattr(options, name)
        changes[name] = None if place is None else str(Path(place) / result)
    for name in _file_inputs(options):
        given = given_text(name, options)
        several = isinstance(given, list)
        own = [own_file(each, file, result) for each in (given if several else [given])]
        changes[place_of(name)] = own if several else own[0]
    changes["reference"] = own_file(options.reference, file, result)
    if options.reference_folder is not None:
        reference = own_file(options.reference_folder, file, result)
        changes["reference"] = reference if reference is not None and Path(reference).exists() else None
    return argparse.Namespace(**vars(options) | changes)


def _file_inputs(options: argparse.Namespace) -> list[str]:
    """Return the names of the inputs that are files; a blur may be a text, and is one for all images."""
    return [name for name in INPUTS if name in TASKS[options.command].takes and INPUTS[name].kind != "kernel"]


def _given_files(options: argparse.Namespace) -> Iterator[str]:
    for name in _file_inputs(options):
        given = given_text(name, options)
        yield from [given] if isinstance(given, str) else given or []


def _keep_quiet(_text: str) -> None:
    """Say nothing."""
