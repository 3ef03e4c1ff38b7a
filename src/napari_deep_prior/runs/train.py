"""Train a network on a person's own images, to denoise or enlarge others of the same kind."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor

from ..arrays.axes import Array
from ..physics.kernels import Kernel, SampledKernel
from ..tasks import SuperResolve, Task
from ..training import trainer
from ..training.held_out_images import Measures, Validation
from ..training.image_training import AVERAGING, ImageTraining, TrainingStep
from ..training.model import Model
from ..training.standardised import BY_LIGHT
from ..training.trainer import TrainingPlan
from ..training.training_settings import TrainingSettings
from .devices import give_memory_back, resolve_device
from .errors import errors_as_sentences, refuse_without_memory
from .training_images import TrainingImage, channels_of, checked_images, split
from .training_remarks import about_code, about_crop, about_outcome
from .training_sets import Source, material_of

METHOD = "trained on images"
"""What a model says of how it was made."""

CANONICAL = "image's range to [0.05, 0.95], enlarged by interpolation"
"""How the pixels of an image are scaled before a network for super-resolution improves them."""

BLUR_DIGITS = 6
"""Decimal places of the blur in a model, with which that of an image is compared."""

RECTIFIED_GAIN = 6**0.5
"""Scale of the first weights with which rectified features keep their size (He et al. 2015,
doi 10.1109/ICCV.2015.123), of networks that do not draw them themselves."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A training that was stopped: the model with its last weights, and what it goes on from.

    Parameters
    ----------
    model : Model
        With the last weights.
    state : mapping of str to Tensor
        Of the trainer, and under names that begin with "kept." the weights that were the best.
    """

    model: Model
    state: Mapping[str, Tensor]


@final
class Training(Iterator[TrainingStep]):
    """A training: iterate it, stop when you like, and take the best network so far from :attr:`model`.

    Made by :func:`train`.
    """

    def __init__(
        self, images: Sequence[TrainingImage], source: Source, settings: TrainingSettings, resume: Checkpoint | None
    ) -> None:
        self.settings, self._source = settings, source
        checked = checked_images(images, settings)
        self.split = split(checked, settings)
        self._channels = channels_of(checked[0])
        if resume is not None:
            _refuse_other(resume.model, self._made({}, {}))
        plan = self._plan()
        refuse_without_memory(
            source.device, trainer.memory(plan, crop=settings.crop, count=settings.examples, pixels=_largest(checked))
        )
        with errors_as_sentences(source.device):
            self._material = material_of(self.split, source, settings)
            self._training = ImageTraining(
                settings, plan, self._material.images, pixels=self._material.pixels, held_out=self._material.held_out
            )
            if resume is not None:
                kept = {name.removeprefix(KEPT): each for name, each in resume.state.items() if name.startswith(KEPT)}
                self._training.resume(resume.state, kept, chosen=int(resume.model.training["chosen"]))
        self.remarks = (
            *self._material.remarks,
            *about_crop(settings, self.split.training),
            *about_code(source.task, settings.network),
        )
        self._steps: Generator[TrainingStep] = self._training.steps()

    @property
    def before(self) -> Measures | None:
        """Measures of what goes into the network, on the held-out images; None if nothing is held out."""
        return self._training.before

    @property
    def best(self) -> Validation | None:
        """What the held-out images say of the best network so far; None if nothing is held out."""
        return self._training.kept.best

    @property
    def doubt(self) -> str:
        """A sentence if the best network so far is no better than none; else nothing."""
        return about_outcome(self.before, None if self.best is None else self.best.after)

    @property
    def task(self) -> Task:
        """What the network is trained to do."""
        return self._source.task

    @property
    def truth(self) -> str:
        """What held-out images are compared with: "truth", or "similar patches", which have denoised them."""
        return self._material.truth

    @property
    def steps(self) -> int:
        """Steps that were taken, those before it was resumed included."""
        return self._training.trainer.steps

    @property
    def chosen(self) -> int:
        """The step that the best network is from."""
        return self._training.kept.chosen

    @property
    def model(self) -> Model:
        """The best network so far; the last one, if nothing is held out."""
        return self._made(self._training.kept.weights, self._about(which="best"))

    @property
    def checkpoint(self) -> Checkpoint:
        """The last network, and what another training goes on from."""
        kept, last = self._training.kept, self._training.trainer
        state = last.state() | {f"{KEPT}{name}": each for name, each in kept.weights.items()}
        return Checkpoint(model=self._made(last.weights, self._about(which="last")), state=state)

    def __next__(self) -> TrainingStep:
        """Return the next step.

        Raises
        ------
        RestorationError
            If the device fails or its memory does not suffice; :attr:`model` still is the best so far.
        """
        with errors_as_sentences(self._source.device):
            return next(self._steps)

    def conclude(self) -> Validation | None:
        """Measure the last weights of a training that was stopped, so that they are kept if they are the best."""
        with errors_as_sentences(self._source.device):
            return self._training.conclude()

    def close(self) -> None:
        """Give the device's memory back; :attr:`model` stays."""
        self._steps.close()
        give_memory_back(self._source.device)

    def _plan(self) -> TrainingPlan:
        settings, enlarges = self.settings, isinstance(self._source.task, SuperResolve)
        return TrainingPlan(
            network=settings.network,
            channels=self._channels,
            shape=(settings.crop, settings.crop),
            precision=settings.precision,
            device=self._source.device,
            gain=RECTIFIED_GAIN,
            error="absolute" if enlarges else "squared",
            averaging=AVERAGING,
            optimizer="muon",
            residual=settings.correction,
        )

    def _about(self, *, which: str) -> dict[str, Any]:
        """Return what is to be known of the training."""
        best, before = self.best, self.before
        found: dict[str, Any] = {
            "images": [image.name for image in self.split.training],
            "held_out": [image.name for image in self.split.held_out],
            "steps": self.steps,
            "chosen": self.chosen,
            "weights": which,
        }
        if best is not None and before is not None:
            found |= {"psnr_before": before.psnr, "psnr": best.after.psnr, "loss": best.loss}
        return found

    def _made(self, weights: Mapping[str, Tensor], about: Mapping[str, Any]) -> Model:
        task, kernel = self._source.task, self._source.kernel
        factors = (float(task.factor),) * 2 if isinstance(task, SuperResolve) else ()
        settings: dict[str, Any] = {"task": task.to_json(), "training": self.settings.to_json()}
        if isinstance(task, SuperResolve):
            blur = task.operator("YX", kernel).blur_image()
            settings["blur"] = None if blur is None else blur.round(BLUR_DIGITS).tolist()
        return Model(
            task=task.command,
            method=METHOD,
            settings=settings,
            network=self.settings.network,
            weights=weights,
            channels=self._channels,
            shape=(self.settings.crop, self.settings.crop),
            intensity=CANONICAL if factors else BY_LIGHT,
            factors=factors,
            noise=(),
            training=about,
        )


KEPT = "kept."

CALLED = {"shape": "crops of", "intensity": "intensities scaled as"}
"""What the fields of a model are called that have other names in the settings."""


def train(
    images: Sequence[TrainingImage | Array],
    task: Task,
    settings: TrainingSettings | None = None,
    *,
    kernel: Array | Kernel | None = None,
    device: str = "auto",
    resume: Checkpoint | None = None,
) -> Training:
    """Return a training of a network on ``images``: iterate it, and take its :attr:`Training.model`.

    Parameters
    ----------
    images : sequence of TrainingImage or ndarray
        What it is trained on. Of several images some are held out, of a single one a part.
    task : Denoise or SuperResolve
        What the network is to do. To denoise, noise of the camera is drawn on the images as similar patches denoise
        them, or on clean images; or it is trained on pairs, if images have a ``clean`` one. To enlarge, images are
        reduced by the task's factor and blur; with the noise of its gain, offset and sigma if they are given.
    settings : TrainingSettings
        Network, time, crops, held-out share.
    kernel : ndarray or Kernel, optional
        The blur, for super-resolution.
    device : str
        "auto", "cuda", "mps" or "cpu".
    resume : Checkpoint, optional
        Go on from there, with the same network and task.

    Raises
    ------
    ValueError
        If the images, the settings or the checkpoint cannot be used.
    OutOfMemoryError
        If the device has not enough memory.

    Examples
    --------
    >>> for step in (run := train(images, Denoise(), TrainingSettings(minutes=5))):  # doctest: +SKIP
    ...     if step.validation is not None:
    ...         print(step.number, step.validation.after.psnr)
    >>> run.model  # doctest: +SKIP
    """
    named = [
        image if isinstance(image, TrainingImage) else TrainingImage(name=f"image {number}", pixels=image)
        for number, image in enumerate(images, 1)
    ]
    blur = kernel if kernel is None or isinstance(kernel, Kernel) else SampledKernel(kernel)
    settings = TrainingSettings() if settings is None else settings
    source = Source(task=task, kernel=blur, clean=settings.clean, device=resolve_device(device))
    return Training(named, source, settings, resume)


def _largest(images: Sequence[TrainingImage]) -> int:
    """Return the pixels of the largest plane."""
    sizes = []
    for image in images:
        lengths = dict(zip(image.axes, image.pixels.shape, strict=True))
        sizes.append(int(lengths["Y"] * lengths["X"]))
    return max(sizes)


def _refuse_other(old: Model, new: Model) -> None:
    """Raise a ValueError if a training cannot go on from a model."""
    same = ("task", "channels", "factors", "network", "intensity", "shape")
    for name in same:
        before, now = getattr(old, name), getattr(new, name)
        if before != now:
            raise ValueError(
                f"the training to go on from has {CALLED.get(name, name)} {before!r}, and {now!r} is asked for: give "
                "the same task, network and settings as before, or begin anew"
            )
