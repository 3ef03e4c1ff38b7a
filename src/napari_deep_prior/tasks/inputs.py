"""What may be given besides the image. One table: a row gives the command-line option, the dock's widget and the check.

To add an input, add a field to :class:`Inputs`, a keyword to :class:`GivenInputs` and a row to ``INPUTS``, and let a
task take it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, final

import numpy as np

from ..arrays.axes import Array
from ..arrays.masks import spread_mask
from ..physics.jpeg import JpegTables
from ..physics.kernels import Kernel, SampledKernel
from ..training.model import Model
from .guides import Guides

Kind = Literal["mask", "images", "kernel", "tables", "model"]
"""What a row of the table is: it decides how a file is read, and which widget the dock shows."""


class GivenInputs(TypedDict, total=False):
    """What a person may give, by keyword (see :func:`napari_deep_prior.restore`)."""

    mask: Array | None
    kernel: Array | Kernel | None
    guide: Array | Sequence[Array]
    jpeg: JpegTables | None
    model: Model | None


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """What was given besides the image, checked.

    Parameters
    ----------
    mask : ndarray of bool, or None
        Where pixels are missing, of the image's shape.
    kernel : Kernel or None
        The blur.
    guide : Guides or None
        Other images of the same place.
    jpeg : JpegTables or None
        How the file was compressed that the image comes from.
    model : Model or None
        A trained network that is to restore the image.
    """

    mask: Array | None = None
    kernel: Kernel | None = None
    guide: Guides | None = None
    jpeg: JpegTables | None = None
    model: Model | None = None


@final
@dataclass(frozen=True)
class Target:
    """What inputs must fit: the axes and the shape of the image, and the shape of the result."""

    axes: str
    shape: tuple[int, ...]
    enlarged: tuple[int, ...]


@final
@dataclass(frozen=True)
class Input:
    """A row of the table.

    Parameters
    ----------
    kind : str
        How it is read from a file, and chosen in the dock.
    label, help : str
        For people; ``metavar`` is how the command line's help names its value.
    check : function
        Returns what the run works with, or raises a ValueError in a sentence.
    """

    kind: Kind
    label: str
    metavar: str
    help: str
    check: Callable[[Any, Target], Any]


def _checked_mask(mask: Array, target: Target) -> Array:
    return spread_mask(np.asarray(mask), target.shape, target.axes)


def _checked_kernel(kernel: Array | Kernel, _target: Target) -> Kernel:
    return kernel if isinstance(kernel, Kernel) else SampledKernel(np.asarray(kernel))


def _checked_guides(guide: Array | Sequence[Array], target: Target) -> Guides:
    guides = [guide] if isinstance(guide, np.ndarray) else guide
    return Guides(guides, axes=target.axes, shape=target.shape, enlarged=target.enlarged)


def _checked_tables(tables: JpegTables, _target: Target) -> JpegTables:
    return tables


def _checked_model(model: Model, _target: Target) -> Model:
    if not isinstance(model, Model):
        raise ValueError(f"the model is a {type(model).__name__}; give what read_model or a training returns")
    return model


INPUTS: Mapping[str, Input] = {
    "mask": Input(
        "mask",
        "Mask",
        "MASK",
        "image of the input's size, or of its planes: not 0 = fill; without it NaN pixels are filled",
        _checked_mask,
    ),
    "kernel": Input(
        "kernel",
        "Blur image",
        "KERNEL",
        "the blur: gaussian:1.2 (standard deviation in pixels of the result), "
        "optical:NA=1.3,wavelength=0.52,pixel=0.1, an image of it (.mat, .npy, .tif, .png), or estimate",
        _checked_kernel,
    ),
    "guide": Input(
        "images",
        "Guides",
        "FILE",
        "an image of the same place and size, or of its planes; may be repeated",
        _checked_guides,
    ),
    "jpeg": Input(
        "tables", "JPEG file", "FILE", "the JPEG that the image was saved as, if the input is not it", _checked_tables
    ),
    "model": Input(
        "model",
        "Trained network",
        "MODEL",
        "restore by a network that deep-prior train has written (.safetensors)",
        _checked_model,
    ),
}


def is_given(value: object) -> bool:
    """Return whether there is an input: neither None nor an empty list."""
    return value is not None and not (isinstance(value, Sequence) and len(value) == 0)


def check_inputs(given: Mapping[str, Any], target: Target) -> Inputs:
    """Return inputs that fit an image.

    Raises
    ------
    ValueError
        If one of them does not.
    """
    return Inputs(**{name: INPUTS[name].check(value, target) for name, value in given.items() if is_given(value)})
