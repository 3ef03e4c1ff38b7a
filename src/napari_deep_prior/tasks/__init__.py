"""Tasks: which problem is posed. ``TASKS`` lists them by the name of their command."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, final

from ..arrays.frame import MissingPixels
from ..methods import METHODS
from ..methods.method import Method
from ..physics.kernels import Area, Bicubic, GaussianKernel, Kernel, Lanczos2
from ..physics.operators import Downsample, Identity
from ..settings import Setting
from .task import Task


@final
@dataclass(frozen=True, kw_only=True)
class Denoise(Task):
    """Remove noise: the image itself was measured, and the noise differs from pixel to pixel."""

    removes_noise = True

    @property
    def keeps_known(self) -> bool:
        """No: every pixel has noise."""
        return False

    def operator(self, axes: str, *, kernel: Kernel | None = None) -> Identity:
        """Return the identity."""
        return Identity()


@final
@dataclass(frozen=True, kw_only=True)
class Inpaint(Task):
    """Fill what is masked: scratches, dust, text, dead rows, hot or missing pixels; plausible, not measured."""

    takes = frozenset({"mask", "guides"})

    missing: Annotated[
        MissingPixels,
        Setting("NaN pixels", "refuse an image with NaN or infinite pixels, or fill them like masked ones"),
    ] = "fill"
    keep_known: Annotated[
        bool,
        Setting(
            "Keep known pixels",
            "pixels that are not masked come back exactly as they are, else as the filling has them",
            advanced=False,
        ),
    ] = True

    @property
    def keeps_known(self) -> bool:
        """As the setting says."""
        return self.keep_known

    def operator(self, axes: str, *, kernel: Kernel | None = None) -> Identity:
        """Return the identity: what is missing has no weight."""
        return Identity()


@final
@dataclass(frozen=True, kw_only=True)
class SuperResolve(Task):
    """Enlarge an image, and undo the blur of its large pixels: detail that was there, as far as it left a trace."""

    takes = frozenset({"kernel", "guides"})

    factor: Annotated[
        float,
        Setting("Factor", "pixels of the result in one of the image, along rows and columns", 1, 16, advanced=False),
    ] = 2.0
    z_factor: Annotated[
        float, Setting("Factor in Z", "planes of the result for one of the image; only as one volume", 1, 16)
    ] = 1.0
    blur: Annotated[
        Literal["bicubic", "lanczos", "area", "gaussian", "estimated"],
        Setting(
            "Blur",
            "how the large pixels came about: area: a detector's pixels; bicubic, lanczos: reduced by a program; "
            "gaussian: of the width below; estimated: found in the image itself, in planes. Rather too narrow than too "
            "wide",
            advanced=False,
        ),
    ] = "bicubic"
    blur_width: Annotated[
        float,
        Setting(
            "Blur width", "standard deviation of the gaussian blur, in pixels of the result", 0.0, 100.0, advanced=False
        ),
    ] = 1.0

    @property
    def keeps_known(self) -> bool:
        """No: there are new pixels."""
        return False

    def operator(self, axes: str, *, kernel: Kernel | None = None) -> Downsample:
        """Return the down-sampling by the factors and the blur.

        Raises
        ------
        ValueError
            If nothing would be enlarged, or Z were in a single plane.
        """
        if "Z" not in axes and self.z_factor != 1:
            raise ValueError(f"the factor in Z is {self.z_factor:g}, but a plane has no depth: restore as one volume")
        factors = tuple(self.z_factor if letter == "Z" else self.factor for letter in axes)
        if max(factors) == 1:
            raise ValueError("the factors are all 1: nothing would be enlarged; give one above 1, for example 2")
        kernels: dict[str, Kernel] = {
            "bicubic": Bicubic(),
            "lanczos": Lanczos2(),
            "area": Area(),
            "gaussian": GaussianKernel((self.blur_width,) * len(factors)),
            # Until the image has been looked at.
            "estimated": Bicubic(),
        }
        return Downsample(factors, kernels[self.blur] if kernel is None else kernel)


@final
@dataclass(frozen=True, kw_only=True)
class Guided(Task):
    """Remove noise with the help of a guide: a clean image of the same place, such as bright field or flash."""

    removes_noise = True
    needs = "guides"

    @property
    def keeps_known(self) -> bool:
        """No: every pixel has noise."""
        return False

    def operator(self, axes: str, *, kernel: Kernel | None = None) -> Identity:
        """Return the identity."""
        return Identity()


@final
@dataclass(frozen=True, kw_only=True)
class RemoveArtifacts(Task):
    """Remove the blocks and rings of JPEG compression, by what the file tells of its rounding, or the image itself."""

    takes = frozenset({"jpeg"})

    quality: Annotated[
        int | None,
        Setting(
            "Quality",
            "of the JPEG, 1 to 100, if neither a file nor the image tells it; empty: found",
            1,
            100,
            advanced=False,
        ),
    ] = None

    @property
    def keeps_known(self) -> bool:
        """No: every pixel was rounded with its block."""
        return False

    def operator(self, axes: str, *, kernel: Kernel | None = None) -> Identity:
        """Return the identity: the loss is in the rounding, and a matter of the misfit.

        Raises
        ------
        ValueError
            If a volume is to be restored.
        """
        if "Z" in axes:
            raise ValueError("JPEG compresses planes, and no volumes: restore plane by plane")
        return Identity()


TASKS: dict[str, type[Task]] = {
    "denoise": Denoise,
    "inpaint": Inpaint,
    "super-resolve": SuperResolve,
    "guide": Guided,
    "remove-artifacts": RemoveArtifacts,
}


def isotropic(spacing: Mapping[str, float]) -> SuperResolve:
    """Return the task that makes the voxels of a volume cubes, by more planes.

    Parameters
    ----------
    spacing : mapping of str to float
        Size of a voxel along Z, Y and X, in one unit.

    Raises
    ------
    ValueError
        If a size is lacking, the pixels are no squares, or the planes are not further apart than pixels.
    """
    if lacking := [letter for letter in "ZYX" if not spacing.get(letter)]:
        raise ValueError(f"the size of a voxel along {' and '.join(lacking)} is not known: say how large it is")
    depth, row, column = (spacing[letter] for letter in "ZYX")
    if not math.isclose(row, column, rel_tol=0.01):
        raise ValueError(f"the pixels are {row:g} × {column:g}, no squares: enlarge the planes first")
    if not depth > 1.01 * column:
        raise ValueError(f"the planes are {depth:g} apart and the pixels {column:g} wide: nothing is to be enlarged")
    return SuperResolve(factor=1.0, z_factor=depth / column)


def from_record(record: Mapping[str, Any]) -> tuple[Task, Method]:
    """Return task and method of the record of a run (see :attr:`Restoration.record`).

    Raises
    ------
    ValueError
        If the record was not written by a version of this program that this one understands.
    """
    try:
        found = [
            next(kind for kind in table.values() if kind.__name__ == record[part]["kind"]).from_json(record[part])
            for part, table in (("task", TASKS), ("method", METHODS))
        ]
    except (KeyError, TypeError, StopIteration):
        raise ValueError("there are no settings of Deep Prior that this version understands") from None
    task, method = found
    assert isinstance(task, Task)  # noqa: S101  (for mypy: the tables say so)
    assert isinstance(method, Method)  # noqa: S101
    return task, method


def task_name(task: Task) -> str:
    """Return the name that a task has in ``TASKS``."""
    return next(name for name, kind in TASKS.items() if isinstance(task, kind))


__all__ = ["TASKS", "Denoise", "Guided", "Inpaint", "RemoveArtifacts", "SuperResolve", "Task"]
