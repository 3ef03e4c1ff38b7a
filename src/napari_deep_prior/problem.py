"""What passes between task, method and caller: the problem that is posed, and a step towards its answer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, final

from torch import Tensor

from .arrays.axes import MissingPixels
from .physics.kernels import Kernel
from .physics.misfit import Misfit
from .physics.operators import Operator
from .settings import Setting, Settings


@dataclass(frozen=True, kw_only=True)
class Problem:
    """``measured = noise(operator(image))``: find the image.

    Parameters
    ----------
    measured : Tensor, (1, C, *S)
        The measurement, canonical (see :mod:`napari_deep_prior.arrays.axes`).
    weight : Tensor, (1, C, *S)
        How much each measured value counts: 1, or 0 where it is missing.
    operator : Operator
        From image to measurement.
    misfit : Misfit
        How far a prediction of the measurement is from it.
    grain : int
        Pixels along a side over which the noise is alike; 1 where it is independent from pixel to pixel.
    guide : Tensor, (1, G, *S), or None
        Other images of the same place, on the image's pixels: each channel of mean 0 and standard deviation 1.
    """

    measured: Tensor
    weight: Tensor
    operator: Operator
    misfit: Misfit
    grain: int = 1
    guide: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """The state after one iteration. Its tensors are detached, stay on their device and never change later.

    Reading a value (``float(step.loss)``) waits for the device: whoever displays it pays for it.

    Parameters
    ----------
    number, total : int
        This iteration, counted from 1, and the most there can be.
    loss : Tensor, 0-d
        Misfit of this iteration on the pixels it learns from.
    criterion : Tensor, 0-d, or None
        What decides the stop (smaller is better): held-out error or windowed variance. None if nothing does.
    criterion_name : str
        What the criterion is, for people; empty if nothing decides.
    chosen : Tensor, 0-d int64
        The iteration that ``image`` is from: the best so far.
    image : Tensor, (1, C, *S)
        The answer if the caller stops here.
    deviation : Tensor, (1, C, *S), or None
        Standard deviation of that image between the members of an ensemble; None if there is only one.
    """

    number: int
    total: int
    loss: Tensor
    criterion: Tensor | None
    criterion_name: str
    chosen: Tensor
    image: Tensor
    deviation: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Method(Settings):
    """Settings of a way to solve a problem. Its verb is :meth:`fit`."""

    takes_guide: ClassVar[bool] = False
    """Whether it can learn from the guide of a problem."""

    seed: Annotated[
        int, Setting("Seed", "start of the random numbers: the same seed gives the same image", 0, 2**31 - 1, False)
    ] = 0

    @abstractmethod
    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield steps towards the image; the last one is the answer. To stop early, stop asking."""

    @abstractmethod
    def limits(self, problem: Problem) -> str:
        """Return why this method cannot solve a problem, in a clause for people; empty if it can."""

    @final
    def refuse(self, problem: Problem) -> None:
        """Raise a ValueError if this method cannot solve a problem."""
        if reason := self.limits(problem):
            raise ValueError(f"{reason}: choose a preset with the deep image prior")

    @abstractmethod
    def memory(self, problem: Problem) -> int:
        """Return the bytes that :meth:`fit` will need on the problem's device, estimated before the first is used."""


@dataclass(frozen=True, kw_only=True)
class Task(Settings):
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
    register: Annotated[
        bool, Setting("Register guides", "move each guide to where its edges lie on the image's, up to 20 pixels")
    ] = True

    removes_noise: ClassVar[bool] = False
    """Whether it is the noise that the result differs by from the measurement."""

    takes: ClassVar[frozenset[str]] = frozenset({"guides"})
    """What can be given besides the image: names of :class:`~napari_deep_prior.tasks.inputs.Inputs`."""

    needs: ClassVar[str] = ""
    """What must be given besides the image."""

    @property
    @abstractmethod
    def keeps_known(self) -> bool:
        """Whether pixels that are not missing go into the result exactly as they were measured."""

    @abstractmethod
    def operator(self, axes: str, *, kernel: Kernel | None = None) -> Operator:
        """Return what maps the image to the measurement.

        Parameters
        ----------
        axes : str
            The letters of the spatial axes.
        kernel : Kernel, optional
            The blur, for tasks that take one.
        """
