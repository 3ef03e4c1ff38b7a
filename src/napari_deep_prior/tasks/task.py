"""What every task has in common: the problem that it poses.

``measured = noise(operator(image))``: a task says what the operator and the noise are. A run asks it four things, in
this order: the operator as far as it is known before the image is read, what the image shows for all pieces, and the
problem of each piece.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, final

import torch
from torch import Tensor

from ..arrays.axes import Array
from ..arrays.frame import Frame, MissingPixels
from ..arrays.pieces import Piece
from ..estimation.channels import GivenNoise, correlation_length
from ..estimation.filled import filled_with_black
from ..estimation.residual_check import checked
from ..physics.averaged_misfit import AveragedMisfit
from ..physics.kernels import Kernel
from ..physics.misfit import Misfit
from ..physics.misfit_choice import MisfitName, choose_misfit
from ..physics.noise_model import NoiseModel
from ..physics.operators import Identity, Operator
from ..problem import Problem
from ..settings import Setting, Settings
from .inputs import Inputs


@final
@dataclass(frozen=True)
class Measured:
    """A piece as it was measured.

    Parameters
    ----------
    values, weight : Tensor, (1, C, *S)
        Canonical values (see :mod:`napari_deep_prior.arrays.frame`); weight 0 where they are missing.
    frame : Frame
        The way back to the array.
    piece : Piece
        Where it lies in the array.
    variance_share : Tensor, (1, C, *S), or None
        Variance of the noise in units of that of a measurement, where the values are means of several ones.
    channel : int or None
        Of the array, counted from 0, where channels are restored one by one; None: all of them.
    """

    values: Tensor
    weight: Tensor
    frame: Frame
    piece: Piece
    variance_share: Tensor | None = None
    channel: int | None = None

    def on(self, device: torch.device) -> Measured:
        """Return the piece on another device."""
        share = None if self.variance_share is None else self.variance_share.to(device)
        return replace(self, values=self.values.to(device), weight=self.weight.to(device), variance_share=share)


@final
@dataclass(frozen=True)
class Prepared:
    """What all pieces share: estimated once, before the first of them is restored."""

    operator: Operator
    noise: tuple[NoiseModel, ...]
    remarks: tuple[str, ...] = ()

    def of(self, channel: int | None) -> Prepared:
        """Return the same with the noise of one channel; None: of all."""
        return self if channel is None else replace(self, noise=self.noise[channel : channel + 1])


@final
@dataclass(frozen=True, kw_only=True)
class Posed:
    """The problem of a piece, and what is worth telling about it.

    Parameters
    ----------
    frame : Frame
        The way back from the image to the array of the result.
    misfit : str
        Name of the misfit.
    remarks : tuple of str
        For people, a sentence each.
    guide_remark : str
        Where the guides lay; empty if there are none.
    """

    problem: Problem
    frame: Frame
    misfit: MisfitName
    remarks: tuple[str, ...] = ()
    guide_remark: str = ""


@dataclass(frozen=True, kw_only=True)
class Task(Settings, ABC):
    """Settings of a kind of restoration: what was measured of the image, and with which noise."""

    missing: Annotated[
        MissingPixels,
        Setting(
            "NaN pixels",
            "refuse an image with NaN or infinite pixels, or treat them as missing and fill them",
        ),
    ] = "refuse"
    noise: Annotated[
        Literal["auto", "anscombe", "gaussian", "poisson"],
        Setting(
            "Noise",
            "auto: estimated from the image; anscombe: photon noise and read noise; gaussian: equally strong "
            "everywhere; poisson: photon counts",
        ),
    ] = "auto"
    gain: Annotated[
        float | None, Setting("Gain", "grey levels per photon; empty: estimated from the image", low=1e-9)
    ] = None
    offset: Annotated[float | None, Setting("Offset", "grey level without light; empty: estimated from the image")] = (
        None
    )
    sigma: Annotated[
        float | None, Setting("Sigma", "noise without light, in grey levels; empty: estimated from the image", low=0)
    ] = None

    command: ClassVar[str]
    """Its name on the command line, and in ``TASKS``."""

    result: ClassVar[str]
    """What is added to the name of something restored, for example "denoised"."""

    removes_noise: ClassVar[bool] = False
    """Whether the result differs from the measurement by the noise alone."""

    looks_at_image: ClassVar[bool] = False
    """Whether :meth:`prepare` looks at a piece, and not only at the noise."""

    takes: ClassVar[frozenset[str]] = frozenset()
    """What can be given besides the image: names of ``INPUTS``."""

    needs: ClassVar[frozenset[str]] = frozenset()
    """What must be given besides the image."""

    tile_multiple: ClassVar[int] = 1
    """Of what the sides of tiles must be multiples, in pixels."""

    tile_needs: ClassVar[frozenset[str]] = frozenset()
    """Settings and inputs of which one must be given for tiles, since it would be looked for in the whole image."""

    @final
    def why_no_tiles(self, inputs: Inputs) -> str:
        """Return why an image cannot be cut into tiles, in a clause with a remedy; empty if it can."""
        if not self.tile_needs or any(getattr(self, name, getattr(inputs, name, None)) for name in self.tile_needs):
            return ""
        return f"{' or '.join(sorted(self.tile_needs))} must be given, else all of the image is needed to find it"

    @property
    @abstractmethod
    def keeps_known(self) -> bool:
        """Whether pixels that are not missing go into the result exactly as they were measured."""

    @property
    @abstractmethod
    def neighbour_count(self) -> int | None:
        """Most neighbours of a stack's piece that it is averaged with, on each side; None: as many as help."""

    @abstractmethod
    def operator(self, axes: str, kernel: Kernel | None) -> Operator:
        """Return what maps the image to the measurement, as far as it is known before the image is read.

        Parameters
        ----------
        axes : str
            The letters of the spatial axes of a piece.
        kernel : Kernel or None
            The blur, for tasks that take one.

        Raises
        ------
        ValueError
            If the task cannot be done with these axes.
        """

    @abstractmethod
    def prepare(self, first: Measured, noise: tuple[NoiseModel, ...], inputs: Inputs) -> Prepared:
        """Return what only the image shows, and all pieces share.

        Parameters
        ----------
        first : Measured
            A piece that can be restored: the brightest, if the task looks at it.
        noise : tuple of NoiseModel
            Of every channel.
        """

    @abstractmethod
    def problem(self, measured: Measured, prepared: Prepared, inputs: Inputs) -> Posed:
        """Return the problem of a piece."""

    @final
    def checked(self, problem: Problem, image: Tensor) -> tuple[Tensor, str]:
        """Return the image (1, C, *S) that a method has found, and a clause on what had to be changed; mostly empty.

        Where noise alone is to be removed, anything else that a method has removed is put back.
        """
        return checked(problem, image) if self.removes_noise else (image, "")

    @property
    @final
    def given_noise(self) -> GivenNoise:
        """What the person says of the noise."""
        return GivenNoise(gain=self.gain, offset=self.offset, sigma=self.sigma)


@dataclass(frozen=True, kw_only=True)
class TaskWithGuide(Task):
    """A task that other images of the same place can help with."""

    register: Annotated[
        bool,
        Setting(
            "Register guides",
            "move each guide to where its edges lie on the image's, up to 20 pixels",
            only_with="guide",
        ),
    ] = True

    @final
    def pose(self, measured: Measured, prepared: Prepared, inputs: Inputs, *, frame: Frame | None = None) -> Posed:
        """Return the problem with the operator that was prepared, the noise that was estimated, and the guides."""
        units = measured.frame.units
        name, misfit = choose_misfit(self.noise, prepared.noise, units, measured.values)
        guide, remark = None, ""
        if inputs.guide is not None:
            guide, remark = inputs.guide.of_piece(
                measured.piece, measured.values, measured.weight, prepared.operator, register=self.register
            )
        problem = replace(problem_of(measured, prepared, misfit, guide), model=inputs.model)
        filled = filled_with_black(measured.values, prepared.noise, units) if self.removes_noise else None
        if filled is not None:
            # Nothing was measured there: it tells nothing of its neighbours, and comes back as it is.
            problem = replace(problem, weight=torch.where(filled, 0.0, problem.weight), filled=filled)
        return Posed(problem=problem, frame=frame or measured.frame, misfit=name, guide_remark=remark)


@dataclass(frozen=True, kw_only=True)
class DirectTask(TaskWithGuide):
    """A task for which the image itself was measured: with noise, or not everywhere."""

    @final
    def operator(self, axes: str, kernel: Kernel | None) -> Operator:
        """Return the identity: what is missing has no weight."""
        return Identity()

    @final
    def prepare(self, first: Measured, noise: tuple[NoiseModel, ...], inputs: Inputs) -> Prepared:
        """Return the noise."""
        return Prepared(Identity(), noise)

    @final
    def problem(self, measured: Measured, prepared: Prepared, inputs: Inputs) -> Posed:
        """Return the problem of a piece."""
        return self.pose(measured, prepared, inputs)


def problem_of(measured: Measured, prepared: Prepared, misfit: Misfit, guide: Tensor | None = None) -> Problem:
    """Return the problem of a piece with a misfit, that of a single measurement."""
    if measured.variance_share is not None:
        misfit = AveragedMisfit(misfit, measured.variance_share)
    return Problem(
        measured=measured.values,
        weight=measured.weight,
        operator=prepared.operator,
        misfit=misfit,
        correlation_length=correlation_length(prepared.noise),
        correlations=tuple((model.correlation[0], model.correlation[1]) for model in prepared.noise),
        guide=guide,
        noiseless=tuple(model.noiseless for model in prepared.noise),
        piece=measured.piece.number,
    )


def grey_levels(measured: Measured) -> Array:
    """Return a piece in the image's own units, (rows, columns) or (rows, columns, channels), without opacity."""
    frame = measured.frame
    return Frame("YXS" if len(frame.low) > 1 else "YX", frame.low, frame.span).to_image(measured.values)
