"""What may be known besides the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from ..arrays.axes import Array
from ..physics.jpeg import JpegTables
from ..physics.kernels import Kernel


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """What a run is given besides the image, its task and its method; each for tasks that take it.

    Parameters
    ----------
    mask : ndarray, optional
        Not 0 where a pixel is missing (see :func:`~napari_deep_prior.arrays.masks.spread_mask`).
    kernel : Kernel, optional
        The blur.
    guides : sequence of ndarray
        Other images of the same place (see :class:`~napari_deep_prior.tasks.guides.Guides`).
    jpeg : JpegTables, optional
        How the file was compressed that the image comes from.
    """

    mask: Array | None = None
    kernel: Kernel | None = None
    guides: Sequence[Array] = ()
    jpeg: JpegTables | None = None

    def given(self) -> list[str]:
        """Return the names of what is there."""
        parts = {
            "mask": self.mask is not None,
            "kernel": self.kernel is not None,
            "guides": len(self.guides) > 0,
            "jpeg": self.jpeg is not None,
        }
        return [name for name, there in parts.items() if there]
