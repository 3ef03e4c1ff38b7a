"""Tasks: which problem is posed. ``TASKS`` lists them by the name of their command."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, final

from .axes import Array, MissingPixels
from .blur_estimation import estimate_blur
from .jpeg import JpegTables, tables_of_quality
from .jpeg_traces import estimate_tables
from .kernels import Area, Bicubic, Gaussian, Kernel, Lanczos2
from .methods import (
    METHODS,
    DeepImagePrior,
    Distillation,
    NonLocalDeblocking,
    NonLocalFilling,
    NonLocalRidge,
    ZeroShotSR,
)
from .networks.hourglass import Hourglass
from .operators import Downsample, Identity, Operator
from .problem import Method, Problem, Task
from .resolution import oversampling
from .settings import Setting


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
            "gaussian": Gaussian((self.blur_width,) * len(factors)),
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

    takes = frozenset({"jpeg", "guides"})

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

DEFAULT_PRESET = "balanced"

# Ulyanov et al. 2018: the denoising notebook's network and numbers.
_PAPER = DeepImagePrior(
    steps=3000,
    stop="none",
    code_channels=32,
    jitter_source="fresh",
    jitter_warmup=0,
    optimizer="adam",
    start_at_median=False,
    code_range=0.1,
    precision="float32",
    network=Hourglass(channels=(128,) * 5, skip=(4,) * 5, normalise_joined=True, pointwise="all", padding="reflection"),
)

_NARROW = Hourglass(channels=(8, 16, 32, 64, 128), skip=(0, 0, 0, 4, 4))
"""The paper's network for what repeats itself from block to block: it has hardly any fine features to show it with."""

_DENOISING: Mapping[str, Method] = {
    "fast": NonLocalRidge(),
    "balanced": Distillation(),
    "best": Distillation(steps=3000, members=2),
    "deep-image-prior": DeepImagePrior(),
}

PRESETS: Mapping[str, Mapping[str, Method]] = {
    "denoise": {**_DENOISING, "paper": _PAPER},
    "inpaint": {
        "fast": NonLocalFilling(passes=8),
        "balanced": NonLocalFilling(),
        "best": NonLocalFilling(passes=36, reach=15, alike=60),
        "deep-image-prior": DeepImagePrior(steps=2000, patience=300),
        # Ulyanov et al. 2018: single pixels missing. Other holes: see docs/inpainting.md.
        "paper": dataclasses.replace(_PAPER, steps=11000, rate=0.001, jitter=0.03),
    },
    "super-resolve": {
        "fast": NonLocalFilling(passes=6, reach=6, alike=30),
        "balanced": NonLocalFilling(passes=12),
        "zero-shot-fast": ZeroShotSR(steps=400, gradual=0),
        "zero-shot": ZeroShotSR(),
        # Shocher et al. 2018: the learning, the network and the median; no patches.
        "zero-shot-paper": ZeroShotSR(
            steps=3000, rate=0.001, rate_policy="slope", crop=128, gradual=0, denoising="no", patches=False
        ),
        "deep-image-prior": DeepImagePrior(steps=1500, patience=300, held_out=0.02),
        # Ulyanov et al. 2018, for a factor of 4.
        "paper": dataclasses.replace(_PAPER, steps=2000, jitter=0.03),
    },
    "guide": {
        **_DENOISING,
        # Ulyanov et al. 2018, flash and no-flash: the guide alone is the code. Its rate of 0.1 gets stuck.
        "paper": dataclasses.replace(_PAPER, steps=600, jitter=0.0, code_channels=0),
    },
    "remove-artifacts": {
        "fast": NonLocalDeblocking(passes=4, alike=25, reach=8),
        "balanced": NonLocalDeblocking(),
        "deep-image-prior": DeepImagePrior(steps=1200, network=_NARROW),
        # Ulyanov et al. 2018, blind.
        "paper": dataclasses.replace(
            _PAPER,
            steps=2400,
            code_channels=3,
            network=dataclasses.replace(_PAPER.network, channels=_NARROW.channels, skip=_NARROW.skip),
        ),
    },
}
"""Methods that are known to do well, by task and name."""


def default_preset(task: Task, *, volume: bool) -> str:
    """Return the name of the preset that is taken where none is chosen.

    To denoise a volume, a network that sees all of its depth is better than what works in planes; along Z alone an
    image is enlarged by what its planes teach.
    """
    if isinstance(task, SuperResolve) and task.z_factor > 1 and task.factor == 1:
        return "zero-shot"
    return "deep-image-prior" if volume and task.removes_noise else DEFAULT_PRESET


def preset(task: Task, name: str = DEFAULT_PRESET) -> Method:
    """Return the preset method of a task.

    Raises
    ------
    ValueError
        If the task has no preset of that name.
    """
    presets = PRESETS[task_name(task)]
    if name not in presets:
        raise ValueError(f"there is no preset {name!r}; choose one of {', '.join(presets)}")
    return presets[name]


def suited(task: Task, method: Method, problem: Problem) -> tuple[Method, str]:
    """Return the method and an empty text, or the deep image prior and why it stands in: it can try any problem.

    Raises
    ------
    ValueError
        If it is the deep image prior itself that cannot solve it.
    """
    reason = method.limits(problem)
    if not reason:
        return method, ""
    if isinstance(method, DeepImagePrior):
        raise ValueError(reason)
    return guided(task, method), f"{reason}: the deep image prior was used instead"


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


def learned(task: Task, operator: Operator, plane: Array, *, blur_known: bool = False) -> tuple[Operator, list[str]]:
    """Return the operator with what only the image can tell, and sentences for people.

    Parameters
    ----------
    plane : ndarray, (rows, columns)
        A plane of what is to be enlarged, its channels averaged.
    blur_known : bool
        Whether the operator has its blur from elsewhere, whatever the task says.
    """
    if not isinstance(operator, Downsample) or not isinstance(task, SuperResolve):
        return operator, []
    found = oversampling(plane)
    remarks = [found.sentence] if found.oversampled and max(operator.factors[-2:]) > 1 else []
    if len(operator.factors) == 3 and operator.factors[0] > 1:
        remarks.append("planes were made up by what the others show: right for cells and nuclei, not for layers")
    if task.blur != "estimated" or blur_known:
        return operator, remarks
    if len(operator.factors) != 2:
        return operator, [*remarks, "the blur of a volume cannot be estimated; the bicubic kernel is taken"]
    blur = estimate_blur(plane, (operator.factors[0], operator.factors[1]))
    return Downsample(operator.factors, blur.kernel), [*remarks, blur.sentence]


def compressed(task: Task, image: Array, given: JpegTables | None) -> tuple[JpegTables | None, str]:
    """Return how an image was compressed, if the task is to undo that and it can be told, and a sentence for people.

    Parameters
    ----------
    image : ndarray, (rows, columns) or (rows, columns, channels)
        Grey levels, as they were decoded.
    given : JpegTables or None
        What its file tells.
    """
    if not isinstance(task, RemoveArtifacts):
        return None, ""
    if task.quality is not None:
        return tables_of_quality(task.quality, colour=image.ndim == 3), f"taken for a JPEG of quality {task.quality}"
    if given is not None:
        return given, "how coarsely it was rounded is told by the file"
    found = estimate_tables(image)
    if found is None:
        return None, "the image shows no trace of how it was compressed, and no file tells"
    return found, "how coarsely it was rounded was found in the image"


def guided(task: Task, method: Method) -> Method:
    """Return how a task is done with a guide, if ``method`` is how it is done without: by the deep image prior."""
    return method if method.takes_guide else dataclasses.replace(preset(task, "deep-image-prior"), seed=method.seed)


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
