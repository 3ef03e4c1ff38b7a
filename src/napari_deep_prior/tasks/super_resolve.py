"""Super-resolution: pixels were measured that are as wide as several of the image."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal, final

from ..arrays.axes import Array, spatial_axes
from ..arrays.frame import Frame, to_planes
from ..estimation.blur import estimate_blur
from ..estimation.oversampling import oversampling
from ..physics.kernels import Area, Bicubic, GaussianKernel, Kernel, Lanczos2
from ..physics.noise_model import NoiseModel
from ..physics.operators import Downsample
from ..progress.stages import run_stage
from ..settings import Setting
from .inputs import Inputs
from .task import Measured, Posed, Prepared, TaskWithGuide


@final
@dataclass(frozen=True, kw_only=True)
class SuperResolve(TaskWithGuide):
    """Enlarge an image, and undo the blur of its large pixels, as far as detail has left a trace."""

    command = "super-resolve"
    result = "super-resolved"
    looks_at_image = True
    takes = frozenset({"kernel", "guide", "model"})

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
            "of the large pixels. area: a detector's pixels; bicubic, lanczos: reduced by a program; gaussian: of the "
            "width below; estimated: from the image itself, in planes. Rather too narrow than too wide",
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
    def neighbour_count(self) -> int | None:
        """0: each piece is restored by itself."""
        return 0

    @property
    def keeps_known(self) -> bool:
        """No: there are new pixels."""
        return False

    def operator(self, axes: str, kernel: Kernel | None) -> Downsample:
        """Return the down-sampling by the factors and the blur; bicubic where it is to be estimated.

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
            "estimated": Bicubic(),
        }
        return Downsample(factors, kernels[self.blur] if kernel is None else kernel)

    def prepare(self, first: Measured, noise: tuple[NoiseModel, ...], inputs: Inputs) -> Prepared:
        """Return the noise, the blur where it is to be estimated, and whether enlarging is worth it."""
        operator = self.operator(spatial_axes(first.frame.axes), inputs.kernel)
        plane = _middle_plane(first)
        found = run_stage("Looking at the image", partial(oversampling, plane))
        remarks = [found.sentence] if found.oversampled and max(operator.factors[-2:]) > 1 else []
        if len(operator.factors) == 3 and operator.factors[0] > 1:
            remarks.append("planes were interpolated from what the others show: right for cells and nuclei, not layers")
        if self.blur == "estimated" and inputs.kernel is None:
            kernel, remark = _estimated_kernel(plane, operator)
            operator = Downsample(operator.factors, kernel)
            remarks.append(remark)
        return Prepared(operator, noise, tuple(remarks))

    def problem(self, measured: Measured, prepared: Prepared, inputs: Inputs) -> Posed:
        """Return the problem of a piece; opacity, which is not restored, becomes as large as the result."""
        return self.pose(measured, prepared, inputs, frame=_enlarged(measured.frame, prepared))


def isotropic(task: SuperResolve, spacing: Mapping[str, float]) -> SuperResolve:
    """Return the task with the factors that make the voxels of a volume cubes, by more planes.

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
    return dataclasses.replace(task, factor=1.0, z_factor=depth / column)


def _middle_plane(measured: Measured) -> Array:
    plane: Array = measured.values[0].mean(dim=0).cpu().numpy()
    return plane if plane.ndim == 2 else plane[len(plane) // 2]


def _estimated_kernel(plane: Array, operator: Downsample) -> tuple[Kernel, str]:
    if len(operator.factors) != 2:
        return operator.kernel, "the blur of a volume cannot be estimated; the bicubic kernel is taken"
    factors = (operator.factors[0], operator.factors[1])
    blur = run_stage("Estimating the blur", partial(estimate_blur, plane, factors))
    return blur.kernel, blur.sentence


def _enlarged(frame: Frame, prepared: Prepared) -> Frame:
    if frame.alpha is None:
        return frame
    alpha = to_planes(frame.alpha, spatial_axes(frame.axes), prepared.operator.interpolate)
    return dataclasses.replace(frame, alpha=alpha.clip(frame.alpha.min(), frame.alpha.max()))
