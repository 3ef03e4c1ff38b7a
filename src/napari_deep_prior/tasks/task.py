"""What every task has in common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from ..arrays.frame import MissingPixels
from ..physics.kernels import Kernel
from ..physics.operators import Operator
from ..settings import Setting, Settings


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
