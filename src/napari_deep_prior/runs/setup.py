"""Everything that a run is given, checked before the first heavy byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, final, get_args

import numpy as np
import torch

from ..arrays.axes import Array, parse_axes, spatial_axes
from ..arrays.pieces import Piece, enlarged_shape, piece_axes, plan
from ..estimation.impossible_noise import refuse_impossible
from ..methods import Method
from ..physics.noise_model import NoiseModel
from ..physics.operators import Operator
from ..problem import Problem
from ..tasks import Task, refuse_inputs
from ..tasks.inputs import INPUTS, GivenInputs, Inputs, Target, check_inputs
from ..tasks.task import Measured
from .devices import resolve_device
from .efforts import name_of
from .errors import refuse_without_memory
from .forecast import Forecast, blank_problem, forecast
from .identity import VERSION, identity
from .output import ArrayOutput, Output
from .recommend import Choice, Wish, recommend
from .source import ArrayLike, SourceArray, real_type

ResultType = Literal["same", "float32"]


class RestoreOptions(GivenInputs, total=False):
    """Keywords of :func:`napari_deep_prior.restore`."""

    axes: str | None
    volume: bool
    device: str
    dtype: ResultType
    diagnostics: bool


@final
@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a run is told besides task, method and inputs (see :func:`napari_deep_prior.restore`)."""

    axes: str | None = None
    volume: bool = False
    device: str = "auto"
    dtype: ResultType = "same"
    diagnostics: bool = False
    file_remarks: tuple[str, ...] = ()
    """What is to be known of how the files were read, for the record."""
    source: str = ""
    """The identity of the file that the image was read from; empty if there is none."""
    noise: tuple[NoiseModel, ...] = ()
    """Of every channel, where it is known from a part of the image; else it is estimated."""
    in_memory: bool = True
    """Whether the result is an array in memory, and must fit there; else another output takes its place."""

    def __post_init__(self) -> None:
        if self.dtype not in get_args(ResultType):
            raise ValueError(f"dtype is {self.dtype!r}; it must be one of {', '.join(map(repr, get_args(ResultType)))}")


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

    @property
    def factors(self) -> dict[str, float]:
        """Pixels of the result in one of the input, by axis letter; what is not named is 1."""
        return _by_letter(self.operator, self.source.piece_axes)

    def measured(self, piece: Piece) -> tuple[Array, Measured]:
        """Return a piece of the array, and as tensors (see :meth:`.SourceArray.measured`)."""
        task = self.task
        return self.source.measured(piece, device=self.device, missing=task.missing, fills="mask" in task.takes)

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
            guide_channels=0 if self.inputs.guide is None else self.inputs.guide.channels,
            correlation_length=correlation_length,
        )
        return forecast(self.task, self.wish, problem, pieces=len(self.pieces), known=False)


def split_options(options: RestoreOptions) -> tuple[dict[str, Any], RunOptions]:
    """Return what was given besides the image, and how the run is to be made.

    Raises
    ------
    TypeError
        If there is no such keyword.
    """
    given = {name: value for name, value in options.items() if name in INPUTS}
    rest: dict[str, Any] = {name: value for name, value in options.items() if name not in INPUTS}
    return given, RunOptions(**rest)


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
    letters = piece_axes(axes, volume=options.volume)
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
        source=SourceArray(image, axes, volume=options.volume, mask=inputs.mask),
        inputs=inputs,
        operator=operator,
        pieces=plan(shape, axes, volume=options.volume, factors=factors),
        output=ArrayOutput(enlarged, np.dtype(np.float32) if options.dtype == "float32" else dtype),
        device=device,
        diagnostics=options.diagnostics,
        file_remarks=options.file_remarks,
        noise=options.noise,
        identity=identity(VERSION, options.source, task, wish, given, options.dtype) if options.source else "",
    )
    refuse_without_memory(device, setup.forecast().memory)
    if options.in_memory:
        refuse_without_memory(torch.device("cpu"), setup.output.memory)
    setup.source.refuse_values(missing=task.missing)
    if task.given_noise.is_given:
        refuse_impossible(setup.source.known_windows(), task.given_noise)
    return setup


def _by_letter(operator: Operator, letters: str) -> dict[str, float]:
    return dict(zip(spatial_axes(letters), operator.factors, strict=True)) if operator.factors else {}
