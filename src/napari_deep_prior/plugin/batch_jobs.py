"""What a batch restores: the images of a folder, or layers; each of them read when its time has come."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

from napari.layers import Image

from ..arrays.axes import parse_axes
from ..files import images
from ..files.channels import with_channels, with_channels_of
from ..files.folders import TABLE, images_in, names_of_results, own_file, size_of
from ..files.image_file import ImageFile
from ..files.jpeg import read_tables
from ..files.other_inputs import guide_in, mask_in
from ..files.results import part_of, read_result, with_spacing_of_result
from ..files.same_files import refuse_same_files
from ..files.zarr_reader import is_zarr_name
from ..runs.batch import Earlier, Job, Scores, Work
from ..runs.batch_folders import WorkInFolder
from ..runs.comparison import Comparison
from ..runs.forecast import Forecast
from ..runs.identity import identity
from ..runs.recommend import Wish
from ..runs.restoration import Restoration
from ..runs.result import Result
from ..runs.run_options import ResultType, RunOptions
from ..runs.setup import Setup, set_up
from ..tasks import Task
from ..tasks.inputs import INPUTS
from ..training.model import Model
from .files import image_of
from .layers import FILE, pixels_of

ENDING = ".tif"
"""Of the results of layers."""


@final
@dataclass(frozen=True, kw_only=True)
class BatchRequest:
    """How every image of a batch is restored, and where its result goes.

    Parameters
    ----------
    task, wish, device, dtype : Task, Wish, str, str
        See :class:`.Request`.
    results : Path
        Folder of the results and of the table.
    others : mapping of str to Path
        For inputs such as masks, by their name in ``INPUTS``, a folder with files of the names of the images.
    model : Model or None
        A trained network that restores all of them.
    reference : Path or None
        A folder with images of the truth, of the same names.
    replace : bool
        Whether other results are replaced that are there.
    zarr : bool
        Whether all results are OME-Zarr, which are written slice by slice.
    axes, channels, separate_channels : str, str, bool
        One letter per axis of every image, if not what its file says; its channels (see :func:`.chosen_channels`), if
        not all; whether one by one.
    """

    task: Task
    wish: Wish
    results: Path
    others: Mapping[str, Path]
    model: Model | None = None
    reference: Path | None = None
    device: str = "auto"
    dtype: ResultType = "same"
    replace: bool = False
    zarr: bool = False
    axes: str = ""
    channels: str = ""
    separate_channels: bool = False


@final
@dataclass(frozen=True)
class _Place:
    """Where an image is, relative to the folder of all of them, and what else there is of it."""

    name: Path
    result: Path
    others: Mapping[str, Path]
    reference: Path | None


_Read = Callable[[str | Path], ImageFile]
"""Reads an image that is given beside another one, with the same channels."""


@final
class ImageWork(Work):
    """An image that was read, and the run that restores it into a file."""

    def __init__(self, setup: Setup, image: ImageFile, place: _Place, read: _Read, *, replaces: bool) -> None:
        super().__init__(setup)
        self._image, self._place, self._read, self._replaces = image, place, read, replaces
        self._comparison: Comparison | None = None

    def earlier(self) -> Earlier | None:
        """Return what lies where the result is to go."""
        if not self._place.result.exists():
            return None
        found = read_result(self._place.result)
        record = {} if found is None else found.record
        if found is None or record.get("identity") != self.setup.identity:
            return None if self._replaces else Earlier(record=record)
        comparison = self._compared(Restoration(self.setup))
        return Earlier(record=record, scores=None if comparison is None else comparison.scores(found.pixels))

    def refuse(self, run: Restoration, plan: Forecast) -> None:
        """Raise a ValueError, before the first step, if something cannot be written or compared."""
        output = self.setup.output
        images.refuse_output(self._place.result, overwrite=self._replaces)
        images.refuse_image(self._place.result, axes=run.axes, shape=output.shape, dtype=output.dtype)
        self._comparison = self._compared(run)

    def write(self, result: Result) -> Scores | None:
        """Write the result with what its image said."""
        known = part_of(with_spacing_of_result(self._image, self.setup.factors), result.image.shape)
        written = dataclasses.replace(known, pixels=result.image, record=result.record.to_json())
        images.write(self._place.result, written, overwrite=self._replaces)
        return None if self._comparison is None else self._comparison.scores(result.image)

    def _compared(self, run: Restoration) -> Comparison | None:
        path = None if self._place.reference is None else str(self._place.reference)
        return Comparison.of(path, run, self._image.pixels, lambda file: self._read(file).pixels)


def jobs_of_folder(request: BatchRequest, folder: Path, pattern: str | None) -> list[Job]:
    """Return a job for every image of a folder.

    Raises
    ------
    ValueError
        If there are no images, two of them would have one result, or a result would replace something.
    """
    files = images_in(folder, pattern, results=request.results)
    names = names_of_results(files, zarr=request.zarr)
    places = [_place(request, file, name) for file, name in zip(files, names, strict=True)]
    _refuse_lost(request, [("image", str(folder / file)) for file in files], places)
    return [
        _job(place, partial(_opened_file, request, folder, place), size_of(folder / place.name)) for place in places
    ]


def jobs_of_layers(request: BatchRequest, layers: Sequence[Image]) -> list[Job]:
    """Return a job for every layer; raises a ValueError as :func:`jobs_of_folder` does."""
    if not layers:
        raise ValueError("no image layer is selected: select some in the list of layers, with Ctrl or Shift")
    names = [Path("".join("_" if letter in '<>:"/\\|?*' else letter for letter in layer.name)) for layer in layers]
    files = [name.with_name(name.name + ENDING) for name in names]
    results = names_of_results(files, zarr=request.zarr)
    places = [_place(request, file, name) for file, name in zip(files, results, strict=True)]
    _refuse_lost(request, [("layer", str(layer.source.path)) for layer in layers if layer.source.path], places)
    jobs = []
    for layer, place in zip(layers, places, strict=True):
        data, meta, _ = layer.as_layer_data_tuple()
        pixels = pixels_of(layer)
        size = int(pixels.size * pixels.dtype.itemsize)
        jobs.append(_job(place, partial(_opened_layer, request, data, meta, place), size))
    return jobs


def _place(request: BatchRequest, file: Path, name: Path) -> _Place:
    others = {each: Path(own_file(str(folder), file, name) or "") for each, folder in request.others.items()}
    reference = None if request.reference is None else Path(own_file(str(request.reference), file, name) or "")
    return _Place(
        file, request.results / name, others, reference if reference is not None and reference.exists() else None
    )


def _refuse_lost(request: BatchRequest, inputs: list[tuple[str, str]], places: Sequence[_Place]) -> None:
    """Raise a ValueError if a result would be an input, or there is no folder for it; make the folders."""
    besides = [(name, str(path)) for place in places for name, path in place.others.items()]
    besides += [("reference", str(place.reference)) for place in places if place.reference is not None]
    outputs = [("result", str(place.result)) for place in places]
    refuse_same_files([*inputs, *besides], [*outputs, ("table", str(request.results / TABLE))])
    for folder in sorted({place.result.parent for place in places}):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"cannot make the folder {str(folder)!r}: {error.strerror}") from error


def _job(place: _Place, opened: Callable[[], Work], size: int) -> Job:
    return Job(name=place.name.as_posix(), result=str(place.result), size=size, open=opened)


def _opened_file(request: BatchRequest, folder: Path, place: _Place) -> Work:
    # The blocks of a JPEG lie as it is stored.
    path = folder / place.name
    turned, lazily = "jpeg" not in request.task.takes, is_zarr_name(place.result)
    image = images.read(path, axes=request.axes or None, turned=turned, lazily=lazily)
    given = {"jpeg": read_tables(path)} if "jpeg" in request.task.takes else {}
    return _opened(request, image, place, given, [f"{path}: {remark}" for remark in image.remarks])


def _opened_layer(request: BatchRequest, data: Any, meta: dict[str, Any], place: _Place) -> Work:
    remarks = meta.get("metadata", {}).get(FILE, {}).get("remarks", ())
    image = image_of(data, meta)
    axes = parse_axes(request.axes, image.pixels.shape) if request.axes else image.axes
    return _opened(request, dataclasses.replace(image, axes=axes), place, {}, list(remarks))


def _opened(request: BatchRequest, whole: ImageFile, place: _Place, given: dict[str, Any], remarks: list[str]) -> Work:
    image, read = whole, images.read_as_stored
    if request.channels:
        image = with_channels(whole, request.channels)
        remarks = [*remarks, *(f"{place.name}: {each}" for each in image.remarks[len(whole.remarks) :])]
        read = partial(_read_same_channels, whole, request.channels)
    if request.wish.volume and "Z" not in image.axes:
        raise ValueError(f"it has no depth, its axes are {image.axes}: it cannot be restored as a volume")
    # What is not given belongs to the identity of a result, too: the command line says so of every input.
    taken = [name for name in INPUTS if name in request.task.takes]
    nothing: dict[str, Any] = {name: [] if INPUTS[name].kind == "images" else None for name in taken}
    given = {**nothing, **given}
    if "mask" in place.others:
        given["mask"] = mask_in(read(place.others["mask"]))
    if "guide" in place.others:
        given["guide"] = [guide_in(read(place.others["guide"]))]
    if request.model is not None:
        given["model"] = request.model
    in_folder = is_zarr_name(place.result)
    if in_folder and place.reference is not None:
        raise ValueError("a result that is written slice by slice is not compared with a reference: compare it later")
    options = RunOptions(
        axes=image.axes,
        volume=request.wish.volume,
        device=request.device,
        dtype=request.dtype,
        # For the table the residual is looked at; of a result in a folder there is none.
        diagnostics=not in_folder,
        in_memory=not in_folder,
        file_remarks=tuple(remarks),
        source=identity(image),
        separate_channels=request.separate_channels,
    )
    setup = set_up(image.pixels, request.task, request.wish, given, options)
    if in_folder:
        return WorkInFolder(setup, image, place.result, overwrite=request.replace)
    return ImageWork(setup, image, place, read, replaces=request.replace)


def _read_same_channels(image: ImageFile, channels: str, path: str | Path) -> ImageFile:
    return with_channels_of(image, channels, images.read_as_stored(path))
