"""Restoration: the iterator that the viewer, the command line and a script all drive."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Self, final

import numpy as np
import torch
from torch import Tensor

from . import diagnostics as checks
from . import guides
from .axes import (
    Array,
    Frame,
    MissingPixelsError,
    NothingToRestoreError,
    canonical,
    parse_axes,
    refuse_missing,
    sample_count,
    spatial_axes,
    to_dtype,
    to_planes,
)
from .canvas import ArrayLike, Canvas
from .devices import describe_device, free_memory, give_memory_back, resolve_device
from .guides import Guides
from .inputs import Inputs
from .jpeg import JpegTables
from .kernels import Kernel, Sampled, kernel_picture
from .masks import spread_mask
from .methods.guidance import Comparison
from .misfit import Gaussian
from .noise import NoiseModel
from .operators import Downsample
from .posing import Noise, estimate_channels, pose
from .problem import Method, Problem, Step, Task
from .resolution import consistency
from .stacks import Index, sample, slice_axes, slices
from .tasks import TASKS, compressed, default_preset, guided, learned, preset, suited, task_name

VERSION = importlib.metadata.version("napari-deep-prior")

OUT_OF_MEMORY_WORDS = ("can't allocate memory", "not enough memory", "could not create a primitive")
"""What the libraries under PyTorch say on the CPU when there is no memory left."""

ResultType = Literal["same", "float32"]


class RestorationError(Exception):
    """A run that failed while it was under way, in one sentence. What was restored so far is kept."""


class OutOfMemoryError(RestorationError):
    """The device has not enough memory for this image with these settings."""


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
        kind = np.dtype(image.dtype)
        if kind.kind not in "iuf":
            raise ValueError(f"the image has pixels of type {kind}: real numbers are needed; convert it first")
        if 0 in image.shape:
            raise ValueError(f"the image is empty: its shape is {tuple(image.shape)}")
        self.axes = parse_axes(axes, tuple(image.shape))
        self.task, self.method, self.volume = task, method, volume
        self.device = resolve_device(device)
        self.slice_number = 0
        self._letters = slice_axes(self.axes, volume=volume)
        self._slices = slices(tuple(image.shape), self.axes, volume=volume)
        _refuse_strangers(inputs, task)
        self._operator = task.operator(spatial_axes(self._letters), kernel=inputs.kernel)
        self._kernel = None if inputs.kernel is None else self._picture(inputs.kernel)
        self._remarks: list[str] = []
        self._jpeg = inputs.jpeg
        self._canvas = Canvas(
            image, self._letters, self._slices, axes=self.axes, operator=self._operator,
            dtype=np.dtype(np.float32) if dtype == "float32" else kind,
            mask=_mask(inputs.mask, task, image, self.axes), keep_known=task.keeps_known,
        )  # fmt: skip
        self._guides = Guides(inputs.guides, axes=self.axes, shape=tuple(image.shape), enlarged=self.shape)
        self._latest: tuple[Index, Frame, Step] | None = None
        self._chosen: list[int | None] = []
        self._passed: list[str] = []
        self._instead = ""
        self.noise: Noise | None = None
        self._problem: Problem | None = None
        self._wanted = diagnostics
        self._checks: dict[str, Array] = {}
        self._verdicts: list[str] = []
        self._refuse_without_memory()
        if isinstance(image, np.ndarray) and kind.kind == "f":
            parts = (image[index] for index in self._slices)
            refuse_missing(sum(int((~np.isfinite(part)).sum()) for part in parts), image.size, missing=task.missing)
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
        chosen = [*self._chosen, *latest]
        return {
            "version": VERSION,
            "torch": torch.__version__,
            "device": describe_device(self.device),
            "task": self.task.to_json(),
            "method": self.method.to_json(),
            "instead": self._instead,
            "axes": self.axes,
            "volume": self.volume,
            "dtype": str(self._canvas.dtype),
            "kernel": None if self._kernel is None else self._kernel.tolist(),
            "blur": self._blur(),
            "remarks": [*filter(None, [self._instead]), *dict.fromkeys(self._remarks)],
            "noise": None if self.noise is None else self.noise.record(),
            "chosen step": chosen[0] if len(self._slices) == 1 and chosen else chosen,
            "slices restored": f"{len(chosen)} of {len(self._slices)}",
            "passed through": list(self._passed),
            "residual": self._verdicts[0] if len(self._slices) == 1 and self._verdicts else list(self._verdicts),
        }

    def __next__(self) -> Step:
        """Return the next step.

        Raises
        ------
        RestorationError
            If the device fails or its memory does not suffice; :attr:`image` still is the answer so far.
        """
        with _errors_as_sentences(self.device):
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
            if self.slice_number == 1:
                self._look(measured)
            guide, placed = self._guide(index, measured, weight)
            jpeg = self._compressed(measured, frame)
            problem, self.noise = pose(
                self.task, measured, weight, frame, models, operator=self._operator, guide=guide, jpeg=jpeg
            )
            self._problem = problem
            self.method, reason = suited(self.task, self.method, problem)
            self._instead = reason or self._instead
            comparison = Comparison(self.method, guided(self.task, self.method), problem)
            for step in self.method.fit(problem) if guide is None else comparison.fit():
                self._latest = (index, frame, step)
                yield step
            self._commit()
            if guide is not None:
                self._remarks.append("; ".join(filter(None, (placed, _verdict(comparison)))))

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
            enlarged = to_planes(frame.alpha, spatial_axes(self._letters), self._operator.guess)
            frame = dataclasses.replace(frame, alpha=enlarged.clip(frame.alpha.min(), frame.alpha.max()))
        return measured, weight, frame

    def _picture(self, kernel: Kernel) -> Array:
        """Return an image of a kernel with which the run can be made again."""
        if isinstance(kernel, Sampled):
            return kernel.values
        assert isinstance(self._operator, Downsample)  # noqa: S101  (for mypy: only what enlarges takes a kernel)
        return kernel_picture(kernel, self._operator.factors)

    def _blur(self) -> list[Any] | None:
        """Return what the blur looks like that a run reckons with, where there is one; rounded, to be looked at."""
        operator = self._operator
        if not isinstance(operator, Downsample):
            return None
        blur: list[Any] = kernel_picture(operator.kernel, operator.factors).round(5).tolist()
        return blur

    def _look(self, measured: Tensor) -> None:
        """Take in what only the image can tell: its blur if that is asked for, and whether enlarging is worth it."""
        if isinstance(self._operator, Downsample) and self._kernel is None:
            plane = measured[0].mean(dim=0).cpu().numpy()
            plane = plane if plane.ndim == 2 else plane[len(plane) // 2]
            self._operator, remarks = learned(self.task, self._operator, plane)
            self._remarks += remarks

    def _compressed(self, measured: Tensor, frame: Frame) -> JpegTables | None:
        """Return how a slice was compressed, where that is to be undone and can be told."""
        factor, shift = (values.reshape(-1, *(1,) * (measured.ndim - 2)) for values in frame.units)
        # What was cut off at 0 and 255 must be told, and the way there and back leaves it a little off.
        levels = np.moveaxis(measured[0].cpu().numpy() * factor + shift, 0, -1).round(3)
        tables, remark = compressed(self.task, levels[..., 0] if levels.shape[-1] == 1 else levels, self._jpeg)
        self._remarks += filter(None, [remark])
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
        self._passed.append(f"slice {self.slice_number}: {error}")
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
        if self.factors and self._problem is not None:
            again = consistency(self._operator, step.image, self._problem.measured)
            self._remarks.append(f"made as coarse again, the result is {again:.0f} dB from the image")
        if self._wanted:
            self._check(index, frame, step)
        self._latest = self._problem = None

    def _check(self, index: Index, frame: Frame, step: Step) -> None:
        """Add what a finished slice can be checked by."""
        assert self._problem is not None  # noqa: S101  (for mypy: a step has been made)
        assert self.noise is not None  # noqa: S101
        residual = checks.residual(self._problem, step.image)
        self._verdicts.append(checks.in_words(residual.cpu().numpy(), self.noise.channels))
        # Of an enlarged image the residual has other pixels, and stays a sentence.
        found = {} if self.factors else {"residual": frame.to_plain(residual)}
        if step.deviation is not None:
            found["uncertainty"] = frame.to_deviation(step.deviation)
        for name, values in found.items():
            whole = self._checks.setdefault(name, np.zeros(self.shape, np.float32))
            whole[index] = to_dtype(values, np.dtype(np.float32))

    def _refuse_without_memory(self) -> None:
        """Raise before the first heavy byte when the run cannot fit; the problem is posed without data for that."""
        lengths = dict(zip(self.axes, self._canvas.source.shape, strict=True))
        spatial = [lengths[letter] for letter in spatial_axes(self._letters)]
        channels = lengths.get("C", sample_count(lengths.get("S", 1)))
        # Shapes without data: an expanded tensor takes the memory of one value.
        blank = torch.zeros((), device=self.device).expand(1, channels, *spatial)
        shape = self._operator.image_shape(tuple(spatial))
        guide = blank[:, :1].new_zeros(()).expand(1, self._guides.channels, *shape) if self._guides.channels else None
        problem = Problem(measured=blank, weight=blank, operator=self._operator, misfit=Gaussian(), guide=guide)
        method = suited(self.task, self.method, problem)[0]
        ways = [method] if guide is None else [method, guided(self.task, method)]
        needed = max(way.memory(problem) for way in ways)
        free = free_memory(self.device)
        if needed > free:
            raise OutOfMemoryError(_no_memory(self.device, f"this run needs about {_gigabytes(needed)}", free))


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
        One letter per axis, for example "ZYX" or "TCYX" (see :mod:`napari_deep_prior.axes`); guessed if not given.
    volume : bool
        Restore Z, Y and X together with a three-dimensional network, instead of plane by plane.
    mask : ndarray, optional
        For tasks that fill: not 0 where a pixel is missing. Of the image's shape, or of its planes or volumes.
    kernel : ndarray or Kernel, optional
        For tasks that enlarge: the blur, an image of it in pixels of the result, of as many axes as are restored
        together; or a kernel such as ``napari_deep_prior.kernels.parse_kernel`` returns.
    guide : ndarray or sequence of ndarray, optional
        Other images of the same place, which show where edges are; each of the image's shape, or of its volumes or
        planes, colours last. Every slice is restored without them and with them, and the better answer is kept.
    jpeg : JpegTables, optional
        For tasks that undo compression: what :func:`~napari_deep_prior.jpeg.read_tables` reads from the file.
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
            kernel=kernel if kernel is None or isinstance(kernel, Kernel) else Sampled(np.asarray(kernel)),
            guides=[guide] if isinstance(guide, np.ndarray) else guide,
            jpeg=jpeg,
        ),
        device=device,
        dtype=dtype,
        diagnostics=diagnostics,
    )


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


def _verdict(comparison: Comparison) -> str:
    """Return a sentence on what a guide was worth."""
    if comparison.gain is None:
        return "whether the guide helped was not compared"
    if not comparison.helped:
        return f"the guide did not help ({comparison.gain:.1%}): the result is without it"
    return f"the guide helped by {comparison.gain:.1%} (error of held-out pixels)"


def name_of_result(name: str, task: Task) -> str:
    """Return a name for the restored version of something called ``name``."""
    done = task_name(task)
    if done == "remove-artifacts":
        return f"{name} without artefacts"
    return f"{name} {done}d" if done.endswith("e") else f"{name} {done}ed"


@contextmanager
def _errors_as_sentences(device: torch.device) -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemoryError(_no_memory(device, _asked_for(error), free_memory(device))) from error
    except RuntimeError as error:
        # On the CPU neither the allocator nor oneDNN, whose primitives need memory, has an error type of its own.
        if any(words in str(error) for words in OUT_OF_MEMORY_WORDS):
            raise OutOfMemoryError(_no_memory(device, _asked_for(error), free_memory(device))) from error
        raise RestorationError(f"the run on {device} failed: {_first_sentence(error)}") from error


def _no_memory(device: torch.device, needed: str, free: int) -> str:
    return (
        f"not enough memory on {device}: {needed}, {_gigabytes(free)} are free. Crop the image, choose fewer or "
        "smaller 'channels', restore a stack slice by slice, or close other programs"
    )


def _asked_for(error: BaseException) -> str:
    """Return what an allocator could not give, without the places in its source code."""
    found = re.search(r"allocate ([\d.]+) ?(bytes|[KMGT]iB)", str(error))
    if found is None:
        return "the run asked for more than there is"
    amount = _gigabytes(int(found[1])) if found[2] == "bytes" else f"{found[1]} {found[2]}"
    return f"the run asked for {amount} more"


def _gigabytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"


def _first_sentence(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
