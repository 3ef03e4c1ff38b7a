"""Restoration: the iterator that the viewer, the command line and a script all drive."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, final

import numpy as np
import torch
from torch import Tensor

from ..arrays.axes import Array, parse_axes, sample_count, spatial_axes
from ..arrays.frame import (
    Frame,
    MissingPixelsError,
    NothingToRestoreError,
    canonical,
    refuse_missing,
    to_dtype,
    to_planes,
)
from ..arrays.masks import spread_mask
from ..arrays.pieces import Index, sample, slice_axes, slices
from ..estimation.oversampling import consistency
from ..methods.guidance import GuideComparison
from ..methods.method import Method
from ..physics.jpeg import JpegTables
from ..physics.kernels import Kernel, SampledKernel, kernel_image
from ..physics.misfit import GaussianMisfit
from ..physics.noise_model import NoiseModel
from ..physics.operators import Downsample
from ..problem import Problem, Step
from ..tasks import TASKS, RemoveArtifacts, SuperResolve, guides, task_name
from ..tasks.guides import Guides
from ..tasks.inputs import Inputs
from ..tasks.task import Task
from . import diagnostics as checks
from .devices import describe_device, give_memory_back, resolve_device
from .errors import errors_as_sentences, refuse_without_memory
from .output import ArrayLike, Canvas
from .posing import Noise, estimate_channels, pose
from .presets import default_preset, guided, preset, suited
from .traces import compressed, learned

VERSION = importlib.metadata.version("napari-deep-prior")

LEVEL_DIGITS = 3
"""Decimal places to which grey levels from 0 to 255 survive as canonical values."""

ResultType = Literal["same", "float32"]


@final
@dataclass
class _Notes:
    """What a run takes down for people: of every slice, or of the last one that it was true of."""

    remarks: list[str] = field(default_factory=list)
    agreements: list[float] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)
    instead: str = ""
    placed: str = ""

    def for_people(self) -> list[str]:
        """Return all remarks, those that are alike once."""
        return [*filter(None, [self.instead, *dict.fromkeys(self.remarks), _agreement(self.agreements)])]


@final
class Restoration(Iterator[Step]):
    """A run: iterate it, stop when you like, and read the answer so far from :attr:`image`.

    Slices of a stack are restored one after another; ``slice_number`` of ``slice_count`` is under way, and those
    not reached yet are the input's. A slice in a stack with nothing to restore is passed through, and so is one of
    a lazy array that turns out to have missing pixels; the record says so.

    Made by :func:`restore`.
    """

    def __init__(
        self,
        image: ArrayLike,
        task: Task,
        method: Method,
        *,
        axes: str | None,
        volume: bool,
        inputs: Inputs,
        device: str,
        dtype: ResultType,
        diagnostics: bool,
    ) -> None:
        kind = _real_type(image)
        self.axes = parse_axes(axes, tuple(image.shape))
        self.task, self.method, self.volume = task, method, volume
        self.device = resolve_device(device)
        self.slice_number = 0
        self._letters = slice_axes(self.axes, volume=volume)
        self._slices = slices(tuple(image.shape), self.axes, volume=volume)
        _refuse_strangers(inputs, task)
        self._operator = task.operator(spatial_axes(self._letters), kernel=inputs.kernel)
        self._kernel = None if inputs.kernel is None else self._picture(inputs.kernel)
        self._jpeg = inputs.jpeg
        self._canvas = Canvas(
            image, self._letters, self._slices, axes=self.axes, operator=self._operator,
            dtype=np.dtype(np.float32) if dtype == "float32" else kind,
            mask=_mask(inputs.mask, task, image, self.axes), keep_known=task.keeps_known,
        )  # fmt: skip
        self._guides = Guides(inputs.guides, axes=self.axes, shape=tuple(image.shape), enlarged=self.shape)
        self._latest: tuple[Index, Frame, Step] | None = None
        self._chosen: list[int | None] = []
        self._notes = _Notes()
        self._asked, self._suited = method, False
        self.noise: Noise | None = None
        self._problem: Problem | None = None
        self._comparison: GuideComparison | None = None
        self._wanted = diagnostics
        self._checks: dict[str, Array] = {}
        self._refuse()
        self._steps = self._run()

    @property
    def slice_count(self) -> int:
        """Number of slices to restore; 1 for a single image."""
        return len(self._slices)

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes of the result."""
        return self._canvas.shape

    @property
    def factors(self) -> dict[str, float]:
        """Pixels of the result in one of the input, by axis letter; what is not named is 1."""
        operator = self._operator
        return (
            dict(zip(spatial_axes(self._letters), operator.factors, strict=True))
            if isinstance(operator, Downsample)
            else {}
        )

    @property
    def image(self) -> Array:
        """The answer so far: axes and intensities of the input, of the type that was asked for. A copy."""
        latest = None
        if self._latest is not None:
            index, frame, step = self._latest
            latest = index, self._canvas.finished(index, frame.to_image(step.image))
        return self._canvas.image(len(self._chosen), latest)

    @property
    def latest_slice(self) -> tuple[Index, Array] | None:
        """Where in the image the slice under way lies, and its answer so far (float32); None before the first step."""
        if self._latest is None:
            return None
        index, frame, step = self._latest
        return index, to_dtype(frame.to_image(step.image), np.dtype(np.float32))

    @property
    def diagnostics(self) -> dict[str, Array]:
        """What the finished slices can be checked by, if it was asked for; float32, in the axes of the input.

        "residual": what was taken away, in standard deviations of the noise. "uncertainty": standard deviation between
        the members of an ensemble, in intensity units, if there are two or more.
        """
        return dict(self._checks)

    @property
    def record(self) -> dict[str, Any]:
        """What was done, as JSON types: enough to do it again."""
        latest = [] if self._latest is None else [int(self._latest[2].chosen)]
        chosen, verdicts = [*self._chosen, *latest], self._notes.verdicts
        return {
            "version": VERSION,
            "torch": torch.__version__,
            "device": describe_device(self.device),
            "task": self.task.to_json(),
            "method": self.method.to_json(),
            "instead": self._notes.instead,
            "axes": self.axes,
            "volume": self.volume,
            "dtype": str(self._canvas.dtype),
            "kernel": None if self._kernel is None else self._kernel.tolist(),
            "blur": self._blur(),
            "guided by": guided(self.task, self.method).to_json() if self._guides.channels else None,
            "remarks": self._notes.for_people(),
            "noise": None if self.noise is None else self.noise.record(),
            "chosen step": chosen[0] if len(self._slices) == 1 and chosen else chosen,
            "slices restored": f"{len(chosen)} of {len(self._slices)}",
            "passed through": list(self._notes.passed),
            "residual": verdicts[0] if len(self._slices) == 1 and verdicts else list(verdicts),
        }

    def __next__(self) -> Step:
        """Return the next step.

        Raises
        ------
        RestorationError
            If the device fails or its memory does not suffice; :attr:`image` still is the answer so far.
        """
        with errors_as_sentences(self.device):
            return next(self._steps)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def finish(self) -> Array:
        """Run to the end, give the device's memory back and return the image."""
        with self:
            for _ in self:
                pass
        return self.image

    def close(self) -> None:
        """End the run and give the device's memory back; :attr:`image` and :attr:`record` stay."""
        self._steps.close()
        if self._latest is not None:
            self._commit()
        give_memory_back(self.device)

    def _run(self) -> Generator[Step]:
        for number, index in enumerate(self._slices, start=1):
            self.slice_number = number
            block = self._canvas.measured(index)
            try:
                measured, weight, frame = self._canonical(block, index)
            except (NothingToRestoreError, MissingPixelsError) as error:
                if not self._passes(error):
                    raise
                self._canvas.put(index, self._canvas.untouched(index))
                self._chosen.append(None)
                continue
            models = self._estimate(block) if self.noise is None else self.noise.channels
            if self.noise is None:
                self._look(measured)
            guide, self._notes.placed = self._guide(index, measured, weight)
            jpeg = self._compressed(measured, weight, frame)
            problem, self.noise = pose(
                self.task, measured, weight, frame, models, operator=self._operator, guide=guide, jpeg=jpeg
            )
            self._problem = problem
            # For each slice anew: what one of them does not allow the next one may.
            method, reason = suited(self.task, self._asked, problem)
            self._suited |= not reason
            self.method = self._asked if self._suited else method
            self._notes.instead = reason or self._notes.instead
            self._comparison = None
            if guide is not None:
                self._comparison = GuideComparison(method, guided(self.task, method))
            for step in (self._comparison or method).fit(problem):
                self._latest = (index, frame, step)
                yield step
            self._commit()

    def _canonical(self, block: Array, index: Index) -> tuple[Tensor, Tensor, Frame]:
        missing = self.task.missing
        if self._canvas.mask is not None:
            # What is masked is missing on purpose: only what is missing besides can be refused.
            besides = ~np.isfinite(block) & ~self._canvas.mask[index]
            if not np.isfinite(block).any():
                raise NothingToRestoreError("every pixel is masked or missing: there is nothing to fill from")
            refuse_missing(int(besides.sum()), block.size, missing=missing)
            missing = "fill"
        measured, weight, frame = canonical(block, self._letters, device=self.device, missing=missing)
        if "mask" in self.task.takes and bool((weight > 0).all()):
            raise NothingToRestoreError("no pixel is masked or missing: there is nothing to fill")
        if frame.alpha is not None and self.factors:
            # Opacity is not restored, but must be as large as the result.
            enlarged = to_planes(frame.alpha, spatial_axes(self._letters), self._operator.interpolate)
            frame = dataclasses.replace(frame, alpha=enlarged.clip(frame.alpha.min(), frame.alpha.max()))
        return measured, weight, frame

    def _picture(self, kernel: Kernel) -> Array:
        """Return an image of a kernel with which the run can be made again."""
        if isinstance(kernel, SampledKernel):
            return kernel.values
        assert isinstance(self._operator, Downsample)  # noqa: S101  (for mypy: only what enlarges takes a kernel)
        return kernel_image(kernel, self._operator.factors)

    def _blur(self) -> list[Any] | None:
        """Return what the blur looks like that a run reckons with, where there is one; rounded, to be looked at."""
        operator = self._operator
        if not isinstance(operator, Downsample):
            return None
        blur: list[Any] = kernel_image(operator.kernel, operator.factors).round(5).tolist()
        return blur

    def _look(self, measured: Tensor) -> None:
        """Take in what only the image can tell: its blur if that is asked for, and whether enlarging is worth it."""
        if isinstance(self._operator, Downsample) and isinstance(self.task, SuperResolve):
            plane = measured[0].mean(dim=0).cpu().numpy()
            plane = plane if plane.ndim == 2 else plane[len(plane) // 2]
            blur_known = self._kernel is not None
            self._operator, remarks = learned(self.task, self._operator, plane, blur_known=blur_known)
            self._notes.remarks += remarks

    def _compressed(self, measured: Tensor, weight: Tensor, frame: Frame) -> JpegTables | None:
        """Return how a slice was compressed, where that is to be undone and can be told."""
        if not isinstance(self.task, RemoveArtifacts):
            return None
        if bool((weight == 0).any()):
            self._notes.remarks.append("pixels are missing: what was rounded together with them tells nothing")
            return None
        levels = Frame("YXS" if len(frame.low) > 1 else "YX", frame.low, frame.span).to_image(measured)
        # Float32 has moved grey levels a little, 0 and 255 perhaps beyond what a JPEG can have.
        tables, remark = compressed(self.task, levels.round(LEVEL_DIGITS), self._jpeg)
        self._notes.remarks.append(remark)
        return tables

    def _guide(self, index: Index, measured: Tensor, weight: Tensor) -> tuple[Tensor | None, str]:
        """Return the guide of a slice, if there is one, and a sentence on where it lay."""
        if not self._guides.channels:
            return None, ""
        guide, registrations = self._guides.of_slice(
            index, measured, weight, self._operator, register=self.task.register
        )
        return guide, guides.in_words(registrations)

    def _passes(self, error: ValueError) -> bool:
        """Return whether a slice that cannot be restored is passed through; if so, take a note of the reason."""
        # At the first slice nothing is lost yet: the person can still say what to do with missing pixels.
        first = self.slice_number == 1 and isinstance(error, MissingPixelsError)
        if len(self._slices) == 1 or first:
            return False
        self._notes.passed.append(f"slice {self.slice_number}: {error}")
        return True

    def _estimate(self, block: Array) -> tuple[NoiseModel, ...]:
        """One camera for all slices: told from several of them where neighbours show the same, else from the first."""
        if "T" in self.axes and len(self._slices) > 1:
            frames, mask = sample(self._canvas.source, self.axes), self._canvas.mask
            known = frames if mask is None else np.where(sample(mask, self.axes), np.nan, frames)
            return estimate_channels(known, self.axes, self.task)
        return estimate_channels(block, self._letters, self.task)

    def _commit(self) -> None:
        """Write the finished slice into the result and forget its tensors."""
        assert self._latest is not None  # noqa: S101  (for mypy: both callers have looked)
        index, frame, step = self._latest
        self._canvas.put(index, self._canvas.finished(index, frame.to_image(step.image)))
        self._chosen.append(int(step.chosen))
        if self._comparison is not None:
            self._notes.remarks.append("; ".join(filter(None, (self._notes.placed, _verdict(self._comparison)))))
        if self.factors and self._problem is not None:
            self._notes.agreements.append(consistency(self._operator, step.image, self._problem.measured))
        if self._wanted:
            self._check(index, frame, step)
        self._latest = self._problem = None

    def _check(self, index: Index, frame: Frame, step: Step) -> None:
        """Add what a finished slice can be checked by."""
        assert self._problem is not None  # noqa: S101  (for mypy: a step has been made)
        assert self.noise is not None  # noqa: S101
        residual = checks.residual(self._problem, step.image)
        self._notes.verdicts.append(checks.in_words(residual.cpu().numpy(), self.noise.channels))
        # Of an enlarged image the residual has other pixels, and stays a sentence.
        found = {} if self.factors else {"residual": frame.to_plain(residual)}
        if step.deviation is not None:
            found["uncertainty"] = frame.to_deviation(step.deviation)
        for name, values in found.items():
            whole = self._checks.setdefault(name, np.zeros(self.shape, np.float32))
            whole[index] = to_dtype(values, np.dtype(np.float32))

    def _refuse(self) -> None:
        """Raise before the first heavy byte where the run cannot be made."""
        if isinstance(self._operator, Downsample):
            lengths = dict(zip(self.axes, self.shape, strict=True))
            self._operator.refuse_kernel(tuple(lengths[letter] for letter in spatial_axes(self._letters)))
        self._refuse_without_memory()
        image = self._canvas.source
        if isinstance(image, np.ndarray) and image.dtype.kind == "f":
            parts = (image[index] for index in self._slices)
            missing = sum(int((~np.isfinite(part)).sum()) for part in parts)
            refuse_missing(missing, image.size, missing=self.task.missing)

    def _refuse_without_memory(self) -> None:
        """Raise when the run cannot fit into the memory; the problem is posed without data for that."""
        lengths = dict(zip(self.axes, self._canvas.source.shape, strict=True))
        spatial = [lengths[letter] for letter in spatial_axes(self._letters)]
        channels = lengths.get("C", sample_count(lengths.get("S", 1)))
        # Shapes without data: an expanded tensor takes the memory of one value.
        blank = torch.zeros((), device=self.device).expand(1, channels, *spatial)
        shape = self._operator.image_shape(tuple(spatial))
        guide = blank[:, :1].new_zeros(()).expand(1, self._guides.channels, *shape) if self._guides.channels else None
        problem = Problem(measured=blank, weight=blank, operator=self._operator, misfit=GaussianMisfit(), guide=guide)
        method = suited(self.task, self.method, problem)[0]
        ways = [method] if guide is None else [method, guided(self.task, method)]
        if "jpeg" in self.task.takes:
            # Whether it suits is known when the image has been looked at.
            ways.append(self.method)
        needed = max(way.memory(problem) for way in ways)
        refuse_without_memory(self.device, needed)


def restore(
    image: ArrayLike,
    task: Task,
    method: Method | None = None,
    *,
    axes: str | None = None,
    volume: bool = False,
    mask: Array | None = None,
    kernel: Array | Kernel | None = None,
    guide: Array | Sequence[Array] = (),
    jpeg: JpegTables | None = None,
    device: str = "auto",
    dtype: ResultType = "same",
    diagnostics: bool = False,
) -> Restoration:
    """Return a run that restores ``image``: iterate it, or call :meth:`Restoration.finish`.

    Parameters
    ----------
    image : array
        Real numbers of any intensity scale; NumPy, dask or zarr. Two or more axes of any length.
    task : Task
        What is to be done, for example ``Denoise()``.
    method : Method, optional
        How; the task's "balanced" preset if not given, to denoise a volume "deep-image-prior".
    axes : str, optional
        One letter per axis, such as "ZYX" or "TCYX" (see :mod:`napari_deep_prior.arrays.axes`); guessed if not given.
    volume : bool
        Restore Z, Y and X together with a three-dimensional network, instead of plane by plane.
    mask : ndarray, optional
        For tasks that fill: not 0 where a pixel is missing. Of the image's shape, or of its planes or volumes.
    kernel : ndarray or Kernel, optional
        For tasks that enlarge: the blur, an image of it in pixels of the result, of as many axes as are restored
        together; or a kernel such as ``napari_deep_prior.files.kernels.parse_kernel`` returns.
    guide : ndarray or sequence of ndarray, optional
        Other images of the same place, which show where edges are; each of the image's shape, or of its volumes or
        planes, colours last. Every slice is restored without them and with them, and the better answer is kept.
    jpeg : JpegTables, optional
        For tasks that undo compression: what :func:`~napari_deep_prior.files.jpeg.read_tables` reads from the file.
    device : str
        "auto", "cuda", "mps" or "cpu".
    dtype : {"same", "float32"}
        Type of the result's pixels: the input's (integers are rounded and limited to their range), or float32.

    diagnostics : bool
        Keep the residual and the uncertainty of every finished slice (see :attr:`Restoration.diagnostics`).

    Raises
    ------
    ValueError
        If the image, its axes or the device cannot be used.
    OutOfMemoryError
        If the run would not fit into the device's memory.

    Examples
    --------
    >>> for step in (run := restore(image, Denoise())):  # doctest: +SKIP
    ...     if step.number == 100:
    ...         break
    >>> run.image  # doctest: +SKIP
    """
    chosen = method if method is not None else preset(task, default_preset(task, volume=volume))
    return Restoration(
        image,
        task,
        chosen,
        axes=axes,
        volume=volume,
        inputs=Inputs(
            mask=mask,
            kernel=kernel if kernel is None or isinstance(kernel, Kernel) else SampledKernel(np.asarray(kernel)),
            guides=[guide] if isinstance(guide, np.ndarray) else guide,
            jpeg=jpeg,
        ),
        device=device,
        dtype=dtype,
        diagnostics=diagnostics,
    )


def _real_type(image: ArrayLike) -> np.dtype[Any]:
    """Return the type of the pixels, which must be real numbers, and there must be some."""
    kind: np.dtype[Any] = np.dtype(image.dtype)
    if kind.kind not in "iuf":
        raise ValueError(f"the image has pixels of type {kind}: real numbers are needed; convert it first")
    if 0 in image.shape:
        raise ValueError(f"the image is empty: its shape is {tuple(image.shape)}")
    return kind


def _mask(mask: Array | None, task: Task, image: ArrayLike, axes: str) -> Array | None:
    if mask is None:
        if "mask" in task.takes and np.dtype(image.dtype).kind != "f":
            raise ValueError("there is no mask: give one that is not 0 where pixels are to be filled")
        return None
    return spread_mask(np.asarray(mask), tuple(image.shape), axes)


def _refuse_strangers(inputs: Inputs, task: Task) -> None:
    if task.needs and task.needs not in inputs.given():
        raise ValueError(f"{task_name(task)!r} needs {task.needs}, and none were given: give one, or choose 'denoise'")
    for name in inputs.given():
        if name not in task.takes:
            able = [repr(other) for other, kind in TASKS.items() if name in kind.takes]
            raise ValueError(
                f"{name} was given, but {task_name(task)!r} does not take it: leave it out, or choose "
                f"{' or '.join(able)}"
            )


def _verdict(comparison: GuideComparison) -> str:
    """Return a sentence on what a guide was worth."""
    if comparison.gain is None:
        return "whether the guide helped was not compared"
    if not comparison.helped:
        return f"the guide did not help ({comparison.gain:.1%}): the result is without it"
    return f"the guide helped by {comparison.gain:.1%} (error of held-out pixels)"


def _agreement(decibels: Sequence[float]) -> str:
    """Return a sentence on how well enlarged slices explain what was measured; empty if there is none."""
    if not decibels:
        return ""
    span = " to ".join(dict.fromkeys(f"{limit:.0f}" for limit in (min(decibels), max(decibels))))
    return f"made as coarse again, the result is {span} dB from the image"


def name_of_result(name: str, task: Task) -> str:
    """Return a name for the restored version of something called ``name``."""
    done = task_name(task)
    if done == "remove-artifacts":
        return f"{name} without artefacts"
    return f"{name} {done}d" if done.endswith("e") else f"{name} {done}ed"
