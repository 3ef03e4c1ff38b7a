"""What a person asks for with a dock, away from its widgets: a run can be set up from it in any thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch

from ..arrays.axes import parse_axes, spatial_axes
from ..arrays.pieces import enlarged_shape, piece_axes
from ..files.channels import left_out_in_words
from ..physics.noise_model import NoiseModel
from ..progress.stages import run_stage
from ..runs.devices import free_memory
from ..runs.recommend import Wish
from ..runs.report import name_of_result
from ..runs.run_options import ResultType, RunOptions
from ..runs.setup import Setup, set_up
from ..runs.source import READING
from ..runs.tiling import bytes_of
from ..tasks import Task
from .crop import Crop
from .layers import FILE, Extent, Part, appearance, channels_of, pixels_of, take
from .result_place import LABEL, ResultTooLargeError, identity_of, in_folder

if TYPE_CHECKING:
    from napari.layers import Image

JPEG_BLOCKS = 32
"""Pixels along a side of what a JPEG compresses together at the most: four blocks of 8 share one of the chrominance."""


@final
@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be restored, and how.

    Parameters
    ----------
    layer, axes, extent : Image, str, str
        The layer, one letter per axis as the person wrote them, and what of the layer is restored.
    point : tuple of float
        Where the viewer's sliders stand, in world coordinates.
    crop : Crop, optional
        The rows and columns that are restored; all if it is not given.
    channels, separate_channels : str, bool
        Numbers or names of the channels that are restored, all if it is empty; whether one by one.
    task, wish : Task, Wish
        What is to be done, and how.
    noise : tuple of NoiseModel
        Of every channel, if it is known; else it is estimated.
    device, dtype, diagnostics, memory : str, str, bool, str
        See :func:`napari_deep_prior.restore`; as much memory as is free, if it is empty.
    folder, goes_on : Path or None, bool or None
        Where the result is written, if not into the memory (see :func:`.in_folder`).
    """

    layer: Image
    axes: str
    extent: Extent
    point: tuple[float, ...]
    task: Task
    wish: Wish
    crop: Crop | None = None
    channels: str = ""
    separate_channels: bool = False
    noise: tuple[NoiseModel, ...] = ()
    device: str = "auto"
    dtype: ResultType = "same"
    diagnostics: bool = False
    memory: str = ""
    folder: Path | None = None
    goes_on: bool | None = None

    def part(self) -> Part:
        """Return what is to be restored of the layer; nothing lazy is read."""
        return take(self.layer, self.axes, self.extent, self.point, self._crop(), channels=self.channels)

    def shown_slice(self) -> Part:
        """Return what is to be restored of the slice of the layer that is shown; nothing lazy is read."""
        return take(self.layer, self.axes, "slice", self.point, self._crop(), channels=self.channels)

    @property
    def name(self) -> str:
        """What the result is called."""
        name = name_of_result(self.layer.name, self.task)
        return name if self.crop is None else f"{name} ({self.crop.name})"

    def factors(self, part: Part) -> dict[str, float]:
        """Return the pixels of the result in one of the layer, by axis letter; what is not named is 1."""
        spatial = spatial_axes(piece_axes(part.axes, volume=self.wish.volume))
        return dict(zip(spatial, self.task.operator(spatial, None).factors, strict=False))

    def shape_of_result(self, part: Part) -> tuple[int, ...]:
        """Return the lengths of the axes of the result."""
        return enlarged_shape(tuple(part.pixels.shape), part.axes, self.factors(part))

    def set_up(self, part: Part, given: Mapping[str, Any]) -> Setup:
        """Return the run that is asked for.

        Parameters
        ----------
        given : mapping
            Inputs by their name in ``INPUTS``.

        Raises
        ------
        ValueError
            If the run cannot be made.
        OutOfMemoryError
            If it would not fit into the device's memory.
        """
        if self.folder is None:
            return self.outline(part, given)
        source = run_stage(READING, partial(identity_of, part, self.noise))
        setup = self._set_up(part, given, source)
        return in_folder(setup, part, appearance(part, self.factors(part)), self.folder, goes_on=self.goes_on)

    def outline(self, part: Part, given: Mapping[str, Any]) -> Setup:
        """Return the same for a plan: no pixel is read for it, and nothing is written.

        Raises
        ------
        ResultTooLargeError
            If the result does not fit into the memory, and there is no folder for it.
        """
        setup = self._set_up(part, given, "")
        free, needed = free_memory(torch.device("cpu")), setup.output.memory
        most = min(free, bytes_of(self.memory)) if self.memory else free
        if self.folder is None and needed > most:
            what = "are free" if most == free else "may be taken"
            sizes = f"{needed / 2**30:.2f} GiB of memory, and {most / 2**30:.2f} GiB"
            raise ResultTooLargeError(f"the result needs {sizes} {what}: choose a folder for it under {LABEL!r}")
        return setup

    def _set_up(self, part: Part, given: Mapping[str, Any], source: str) -> Setup:
        options = RunOptions(
            axes=part.axes,
            volume=self.wish.volume,
            separate_channels=self.separate_channels,
            device=self.device,
            dtype=self.dtype,
            diagnostics=self.diagnostics,
            file_remarks=tuple(self._remarks(part)),
            noise=self.noise,
            source=source,
            in_memory=False,
            memory=self.memory or None,
        )
        return set_up(part.pixels, self.task, self.wish, given, options)

    def _crop(self) -> Crop | None:
        """Return the rows and columns that are read: of a JPEG whole blocks."""
        if self.crop is None or "jpeg" not in self.task.takes:
            return self.crop
        shape = tuple(pixels_of(self.layer).shape)
        return self.crop.on_blocks(JPEG_BLOCKS, dict(zip(parse_axes(self.axes, shape), shape, strict=True)))

    def _remarks(self, part: Part) -> list[str]:
        remarks = list(self.layer.metadata.get(FILE, {}).get("remarks", ()))
        if part.channels:
            count = pixels_of(self.layer).shape[part.axes.index("C")]
            remarks.append(f"{self.layer.name!r}: {left_out_in_words(channels_of(self.layer), part.channels, count)}")
        crop = self._crop()
        return remarks if crop is None else [*remarks, crop.in_words(self.layer.name)]
