"""Everything that a run is given, checked before the first heavy byte."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import Tensor

from ..arrays.axes import Array, parse_axes, planned_axes, spatial_axes
from ..arrays.frame import NothingToRestoreError
from ..arrays.pieces import Piece, enlarged_shape, piece_axes
from ..estimation.impossible_noise import refuse_impossible
from ..methods import Method
from ..physics.noise_model import NoiseModel
from ..physics.operators import Operator
from ..problem import Problem
from ..tasks import Task, refuse_inputs
from ..tasks.inputs import Inputs, Target, check_inputs
from ..tasks.task import Measured
from .devices import free_memory, resolve_device
from .efforts import name_of
from .errors import no_memory_for, refuse_without_memory
from .forecast import Forecast, blank_problem, forecast
from .identity import VERSION, identity
from .output import ArrayOutput, Output
from .piece_words import tiles_in_words, unit_of
from .recommend import Choice, Wish, recommend
from .run_options import RunOptions
from .source import ArrayLike, SourceArray, real_type
from .tiling import Tiles, bytes_of, cut, is_cut, largest_tile, middle_of_slice

if TYPE_CHECKING:
    from .executor import Executor
    from .shared_network import SharedNetwork


@final
@dataclass(frozen=True, kw_only=True)
class Setup:
    """A run that can begin.

    Parameters
    ----------
    task, wish : Task, Wish
        What is to be done, and how.
    source, pieces, output : Source, list of Piece, Output
        What is read, in which pieces, and where they go.
    inputs : Inputs
        What was given besides the image.
    operator : Operator
        As far as it is known before the image is read: it tells the shape of the result.
    identity : str
        Of the result (see :func:`.identity`); empty if the image was read from no file.
    noise : tuple of NoiseModel
        Of every channel, if it is not to be estimated.
    tile : int or None
        Pixels along the sides of the tiles into which slices are cut; None if they are not.
    tile_remark : str
        Why they are cut, where nobody asked for it.
    executor, device_there, network : Executor or None, str, SharedNetwork or None
        Who restores the pieces, if other processes do, and with which device; network of the batch of the run.
    """

    task: Task
    wish: Wish
    source: SourceArray
    inputs: Inputs
    operator: Operator
    pieces: list[Piece]
    output: Output
    device: torch.device
    diagnostics: bool
    file_remarks: tuple[str, ...] = ()
    identity: str = ""
    noise: tuple[NoiseModel, ...] = ()
    tile: int | None = None
    tile_remark: str = ""
    executor: Executor | None = None
    device_there: str = "auto"
    network: SharedNetwork | None = None

    def for_others(self) -> Setup:
        """Return the run as other processes need it: with nothing of its result."""
        output = ArrayOutput(self.output.shape, self.output.dtype)
        return replace(self, output=output, executor=None, network=None)

    @property
    def unit(self) -> str:
        """What a piece is called."""
        return unit_of(self.tile)

    def with_tile(self, tile: int | None, *, remark: str = "") -> Setup:
        """Return the run with its slices cut into tiles, of an array in memory.

        Raises
        ------
        ValueError
            If that is not possible.
        """
        source, task = self.source, self.task
        tile = tile if is_cut(source.shape, source.axes, tile) else None
        reason = task.why_no_tiles(self.inputs) if tile else ""
        if reason:
            raise ValueError(f"the image cannot be restored in tiles: {reason}")
        tiles = Tiles(side=tile, multiple=task.tile_multiple, along_stack=task.neighbour_count != 0)
        pieces = cut(source.shape, source.planned_axes, tiles, volume=source.volume, factors=self.factors)
        output = ArrayOutput(self.output.shape, self.output.dtype, pieces)
        return replace(self, pieces=pieces, output=output, tile=tile, tile_remark=remark)

    def fitting(self, limit: int | None) -> Setup:
        """Return the run with its slices cut into tiles if it does not fit into the memory.

        Parameters
        ----------
        limit : int or None
            The most bytes that it may take of the memory that is free.

        Raises
        ------
        OutOfMemoryError
            If no tile is small enough.
        """
        needed, source = self.forecast().memory, self.source
        budget = min(free_memory(self.device), math.inf if limit is None else limit)
        if needed <= budget:
            return self
        lengths = dict(zip(source.axes, source.shape, strict=True))
        tile = None
        if not self.task.why_no_tiles(self.inputs):
            tile = largest_tile(
                lambda side: self.with_tile(side).forecast().memory,
                int(budget),
                longest=max(lengths["Y"], lengths["X"]),
                factors=self.factors,
                multiple=self.task.tile_multiple,
            )
        if self.tile is None and tile is not None:
            return self.with_tile(tile, remark=tiles_in_words(tile, needed=needed, budget=int(budget)))
        raise no_memory_for(self.device, needed, limit)

    @property
    def factors(self) -> dict[str, float]:
        """Pixels of the result in one of the input, by axis letter; what is not named is 1."""
        return _by_letter(self.operator, self.source.piece_axes)

    def measured(self, piece: Piece) -> tuple[Array, Measured]:
        """Return a piece of the array, and as tensors (see :meth:`.SourceArray.measured`)."""
        task = self.task
        return self.source.measured(piece, device=self.device, missing=task.missing, fills="mask" in task.takes)

    def untouched(self, piece: Piece, dtype: np.dtype[Any]) -> Array:
        """Return what stands for a piece that is not restored (see :meth:`.SourceArray.untouched`)."""
        return self.source.untouched(piece, self.operator, dtype)

    def middle_of_slice(self, piece: Piece) -> tuple[Piece, Tensor, Tensor] | None:
        """Return the middle of the slice of a tile, with its canonical values and weight; None if it shows nothing."""
        middle = middle_of_slice(piece, self.source.shape, self.source.axes, self.factors)
        try:
            _, measured = self.source.measured(middle, device=self.device, missing="fill")
        except NothingToRestoreError:
            return None
        return middle, measured.values, measured.weight

    def tells_rounding(self, dtype: np.dtype[Any]) -> bool:
        """Return whether light that a type rounds away is worth a word.

        It is not in colours, which are made to be looked at, nor where known pixels stay as they are.
        """
        return dtype.kind in "iu" and "S" not in self.source.axes and not self.task.keeps_known

    def choose(self, problem: Problem) -> Choice:
        """Return how the problem of a piece is solved."""
        return recommend(self.task, problem, self.wish)

    def forecast(self, *, correlation_length: int = 1) -> Forecast:
        """Return what the run will take; of the noise only its correlation counts, if it is known already."""
        problem = blank_problem(
            self.source,
            self.operator,
            self.device,
            piece=None if self.tile is None else max(self.pieces, key=_pixels),
            inputs=self.inputs,
            correlation_length=correlation_length,
        )
        return forecast(self.task, self.wish, problem, pieces=len(self.pieces), known=False)


def wish_for(method: str | Method, effort: str, *, volume: bool) -> Wish:
    """Return what a person asks for by the name of a method, or by its settings."""
    if isinstance(method, Method):
        return Wish(method=name_of(method), effort="", settings=method, volume=volume)
    return Wish(method=method, effort=effort, volume=volume)


def set_up(image: ArrayLike, task: Task, wish: Wish, given: Mapping[str, Any], options: RunOptions) -> Setup:
    """Return a run that can begin.

    Parameters
    ----------
    given : mapping
        Inputs by their name in ``INPUTS``.

    Raises
    ------
    ValueError
        If the image, its axes, an input, the method or the device cannot be used.
    OutOfMemoryError
        If the run would not fit into the device's memory.
    """
    dtype = real_type(image)
    axes = parse_axes(options.axes, tuple(image.shape))
    device = resolve_device(options.device)
    refuse_inputs(task, given)
    planned = planned_axes(axes, separate_channels=options.separate_channels)
    letters = piece_axes(planned, volume=options.volume)
    shape = tuple(image.shape)
    # The shape of the result depends on the factors alone; what is given may have to fit it.
    factors = _by_letter(task.operator(spatial_axes(letters), None), letters)
    enlarged = enlarged_shape(shape, axes, factors)
    inputs = check_inputs(given, Target(axes, shape, enlarged))
    operator = task.operator(spatial_axes(letters), inputs.kernel)
    if "mask" in task.takes and inputs.mask is None and dtype.kind != "f":
        raise ValueError("there is no mask: give one that is not 0 where pixels are to be filled")
    lengths = dict(zip(axes, enlarged, strict=True))
    operator.refuse_shape(tuple(lengths[letter] for letter in spatial_axes(letters)))
    setup = Setup(
        task=task,
        wish=wish,
        source=SourceArray(
            image, axes, volume=options.volume, mask=inputs.mask, separate_channels=options.separate_channels
        ),
        inputs=inputs,
        operator=operator,
        pieces=cut(shape, planned, Tiles(side=None), volume=options.volume, factors=factors),
        output=ArrayOutput(enlarged, np.dtype(np.float32) if options.dtype == "float32" else dtype),
        device=device,
        diagnostics=options.diagnostics,
        file_remarks=options.file_remarks,
        noise=options.noise,
        device_there=options.device,
        identity=_identity(task, wish, given, options) if options.source else "",
    )
    setup = setup.with_tile(options.tile).fitting(None if options.memory is None else bytes_of(options.memory))
    if options.in_memory:
        refuse_without_memory(torch.device("cpu"), setup.output.memory)
    _refuse_values(setup)
    return setup


def _refuse_values(setup: Setup) -> None:
    setup.source.refuse_values(missing=setup.task.missing)
    if setup.task.given_noise.is_given:
        refuse_impossible(setup.source.known_windows(), setup.task.given_noise)


def with_executor(
    setup: Setup,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    compute: str | None = None,
    client: Any = None,
) -> Setup:
    """Return a run of which other processes restore the pieces, where that is asked for; they are begun.

    Parameters
    ----------
    workers, scheduler, compute, client
        See :func:`.clusters.executor_of`.

    Raises
    ------
    ValueError
        If they cannot be begun.
    """
    if workers is None and scheduler is None and compute is None and client is None:
        return setup
    from .clusters import executor_of

    executor = executor_of(workers=workers, scheduler=scheduler, compute=compute, client=client)
    return replace(setup, executor=executor)


def _identity(task: Task, wish: Wish, given: Mapping[str, Any], options: RunOptions) -> str:
    """Return the identity of a result; tiles that only the free memory asks for are no part of it."""
    more = [options.tile] * (options.tile is not None) + ["separate channels"] * options.separate_channels
    return identity(VERSION, options.source, task, wish, given, options.dtype, *more)


def _pixels(piece: Piece) -> int:
    return math.prod(at.stop - at.start for at in piece.read if isinstance(at, slice))


def _by_letter(operator: Operator, letters: str) -> dict[str, float]:
    return dict(zip(spatial_axes(letters), operator.factors, strict=True)) if operator.factors else {}
