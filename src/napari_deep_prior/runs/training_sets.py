"""Training pairs of a task: by its own operator, and with the noise of the camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from ..arrays import metrics
from ..arrays.axes import Array, channel_position
from ..arrays.frame import NothingToRestoreError
from ..arrays.pieces import Piece, plan
from ..estimation.channels import GivenNoise, estimate_windows
from ..estimation.impossible_noise import refuse_impossible
from ..estimation.sampling import windows_of
from ..methods.reslicing import reslicing_of
from ..patches import patch_denoising
from ..physics.exposure import Exposure
from ..physics.kernels import Kernel
from ..physics.misfit import Misfit
from ..physics.misfit_choice import choose_misfit
from ..physics.noise_model import NoiseModel
from ..physics.photon_misfits import CameraUnits
from ..progress.stages import run_stage
from ..tasks import Denoise, SuperResolve, Task
from ..tasks.inputs import Inputs
from ..tasks.task import Measured, Prepared
from ..training.held_out_images import Back, HeldOutImage
from ..training.image_sets import (
    ExposedImages,
    ImageSet,
    PairedImages,
    ReducedImages,
    Scene,
    interpolated_noise,
)
from ..training.standardised import Standardisation
from ..training.trainer import TrainingPair
from ..training.training_settings import TrainingSettings
from .source import SourceArray
from .training_images import Split, TrainingImage, pixel_count

MOST_PIXELS, MOST_RESTORED = 1 << 25, 1 << 22
"""Pixels of all planes that are used, evenly spread over them: those that are first denoised take seconds each."""

MOST_HELD_OUT = 1 << 20
"""Pixels of the held-out planes."""


@final
@dataclass(frozen=True, kw_only=True)
class Material:
    """What a network is trained on.

    Parameters
    ----------
    images : ImageSet
        What training pairs are drawn from.
    pixels : int
        Of the planes in it.
    held_out : tuple of HeldOutImage
        What is measured.
    noise : tuple of NoiseModel
        Noise of the channels of the first image; empty where none is removed or added.
    remarks : tuple of str
        For people, a sentence each.
    truth : str
        What the held-out images are compared with.
    """

    images: ImageSet
    pixels: int
    held_out: tuple[HeldOutImage, ...]
    noise: tuple[NoiseModel, ...] = ()
    remarks: tuple[str, ...] = ()
    truth: str = "truth"


@final
@dataclass(frozen=True, kw_only=True)
class Source:
    """How images become training pairs.

    Parameters
    ----------
    task : Task
        What the network is to do.
    kernel : Kernel or None
        The blur, for super-resolution.
    clean : bool
        For denoising: the images have no noise; that of the task's gain, offset and sigma is drawn on them.
    device : torch.device
        Where the network is trained.
    """

    task: Task
    kernel: Kernel | None
    clean: bool
    device: torch.device


@final
@dataclass(frozen=True)
class _Plane:
    """A plane of an image, and what is to come out if that was given; canonical."""

    image: TrainingImage
    measured: Measured
    clean: Tensor | None

    @property
    def span(self) -> float:
        """Data range of the image, in canonical values."""
        truth = self.image.pixels if self.image.clean is None else self.image.clean
        return metrics.data_range(truth) / float(np.mean(self.measured.frame.units[0]))


def material_of(split: Split, source: Source, settings: TrainingSettings) -> Material:
    """Return what a network is trained on.

    Raises
    ------
    ValueError
        If the images do not show what is needed, or the task is none that a network can be trained for.
    """
    make = _MATERIALS.get(type(source.task))
    if make is None:
        able = " or ".join(kind.command for kind in _MATERIALS)
        raise ValueError(f"no network can be trained for {source.task.command!r}: choose {able}")
    return make(split, source, settings)


def _reduced(split: Split, source: Source, settings: TrainingSettings) -> Material:
    task = source.task
    assert isinstance(task, SuperResolve)  # noqa: S101  (for mypy: the table says so)
    if task.blur == "estimated":
        raise ValueError("the blur cannot be estimated from images that are to come out sharp: give it with --kernel")
    operator = task.operator("YX", source.kernel)
    orientations = reslicing_of(operator).orientations
    noise = _given_model(task.given_noise) if task.given_noise.is_given else None

    def exposure_of(plane: _Plane) -> Exposure | None:
        values, units = plane.measured.values.cpu(), plane.measured.frame.units
        return None if noise is None else Exposure(CameraUnits((noise,) * values.shape[1], units, values))

    training = _planes(split.training, source, most=MOST_PIXELS)
    operator.refuse_shape(tuple(min(plane.measured.values.shape[axis] for plane in training) for axis in (2, 3)))
    images = ReducedImages(
        [(plane.measured.values, exposure_of(plane)) for plane in training], operator, orientations, crop=settings.crop
    )
    generator = torch.Generator().manual_seed(settings.seed)
    held_out = []
    for plane in _planes(split.held_out, source, most=MOST_HELD_OUT):
        truth = plane.measured.values
        rows, columns = truth.shape[-2:]
        given = operator.interpolate(operator(truth))[..., :rows, :columns]
        exposure = exposure_of(plane)
        if exposure is not None:
            given = given + interpolated_noise(truth, operator, exposure, generator)
        held_out.append(_held_out(plane, given, truth, truth, lambda image: image))
    models = () if noise is None else (noise,)
    return Material(images=images, pixels=_count(training), held_out=tuple(held_out), noise=models)


def _noisy(split: Split, source: Source, settings: TrainingSettings) -> Material:
    generator = torch.Generator().manual_seed(settings.seed)
    most = MOST_PIXELS if source.clean or split.training[0].clean is not None else MOST_RESTORED
    noise = {image.name: _noise_of(image, source) for image in (*split.training, *split.held_out)}
    pairs, scenes, training = [], [], _planes(split.training, source, most=most)
    for number, plane in enumerate(training, 1):
        models = noise[plane.image.name]
        clean, misfit = _denoised(plane, models, source, f"{number} of {len(training)}")
        if plane.clean is None:
            scenes.append(_scene(plane, models, clean))
        else:
            noisy = misfit.stabilise(plane.measured.values)
            space = Standardisation.by_light(noisy, misfit)
            pairs.append((space.of_means(noisy), space.of_means(misfit.expected(clean))))
    held_out = []
    for plane in _planes(split.held_out, source, most=MOST_HELD_OUT):
        models = noise[plane.image.name]
        clean, misfit = _denoised(plane, models, source, "held-out images")
        noisy = plane.measured.values
        if plane.clean is None:
            scene = _scene(plane, models, clean)
            noisy = scene.exposure.measured(scene.image, generator).to(noisy.device)
        space = Standardisation.by_light(misfit.stabilise(noisy), misfit)
        given, target = (space.of_means(each) for each in (misfit.stabilise(noisy), misfit.expected(clean)))
        held_out.append(_held_out(plane, given, target, clean, space.to_image))
    images: ImageSet = PairedImages(pairs) if pairs else ExposedImages(scenes, source.device, crop=settings.crop)
    return Material(
        images=images,
        pixels=_count(training),
        held_out=tuple(held_out),
        noise=noise[split.training[0].name],
        remarks=() if pairs or source.clean else (RESTORED,),
        truth="truth" if pairs or source.clean else "similar patches",
    )


RESTORED = (
    "there are no clean images: new noise is drawn on the images as similar patches denoise them; PSNR, SSIM and HFEN "
    "of held-out images compare with these, and not with the truth"
)


def _denoised(plane: _Plane, noise: tuple[NoiseModel, ...], source: Source, place: str) -> tuple[Tensor, Misfit]:
    """Return what is to come out of a plane, canonical, and the misfit of its noise."""
    measured = plane.measured
    if source.clean:
        return measured.values, choose_misfit("auto", noise, measured.frame.units, measured.values)[1]
    prepared = Prepared(source.task.operator("YX", None), noise)
    problem = source.task.problem(measured, prepared, Inputs()).problem
    if plane.clean is not None:
        return plane.clean, problem.misfit
    *_, clean = run_stage(f"Denoising {place}", lambda: list(patch_denoising.denoise(problem)))
    return clean, problem.misfit


def _scene(plane: _Plane, noise: tuple[NoiseModel, ...], clean: Tensor) -> Scene:
    """Return a plane without its noise, to be measured again."""
    image, units = clean.cpu(), plane.measured.frame.units
    return Scene(image, Exposure(CameraUnits(noise, units, image)), choose_misfit("auto", noise, units, image)[1])


def _noise_of(image: TrainingImage, source: Source) -> tuple[NoiseModel, ...]:
    """Return the noise of an image; that which is to be drawn on it if it is clean."""
    given = source.task.given_noise
    windows = windows_of(image.pixels, image.axes)
    if source.clean:
        if not given.is_given:
            raise ValueError("the images are clean, and noise is to be drawn: give gain or sigma (--gain, --sigma)")
        return (_given_model(given),) * len(windows)
    refuse_impossible(windows, given)
    noise = estimate_windows(windows, given)[0]
    name = image.name
    if all(model.noiseless for model in noise):
        raise ValueError(
            f"no noise was found in {name!r}: leave it out; or, if all images are clean, say so (--clean) and give the "
            "noise to train on (--gain, --sigma)"
        )
    if image.clean is None and any(model.correlated for model in noise):
        raise ValueError(
            f"the noise of neighbouring pixels of {name!r} is correlated, and such noise is not drawn: give clean "
            "images of the same places (--clean-folder), or leave it out"
        )
    return noise


def _given_model(given: GivenNoise) -> NoiseModel:
    return NoiseModel(gain=given.gain or 0.0, offset=given.offset or 0.0, read_noise=given.sigma or 0.0)


def _planes(images: Sequence[TrainingImage], source: Source, *, most: int) -> list[_Plane]:
    """Return planes of images, evenly spread over all of them; those that are constant are left out."""
    places = [(image, piece) for image in images for piece in plan(image.pixels.shape, image.axes)]
    found = list(_read(places[:: max(1, -(-pixel_count(images) // most))], source))
    if images and not found:
        raise ValueError("every plane of the training images is constant: there is nothing to train on")
    return found


def _read(places: Sequence[tuple[TrainingImage, Piece]], source: Source) -> Iterator[_Plane]:
    for image, piece in places:
        array = SourceArray(image.pixels, image.axes, volume=False, mask=None)
        try:
            _, measured = array.measured(piece, device=source.device, missing="refuse")
        except NothingToRestoreError:
            continue
        clean = None if image.clean is None else _canonical_as(measured, image.clean[piece.read])
        yield _Plane(image, measured, clean)


def _canonical_as(measured: Measured, clean: Array) -> Tensor:
    """Return a clean plane in the canonical values of the noisy one."""
    frame = measured.frame
    channel = channel_position(frame.axes)
    values = clean[None] if channel is None else np.moveaxis(clean, channel, 0)[: len(frame.low)]
    factor, shift = (each.reshape(-1, 1, 1) for each in frame.units)
    return torch.from_numpy(((values - shift) / factor).astype(np.float32))[None].to(measured.values.device)


def _held_out(plane: _Plane, given: Tensor, target: Tensor, truth: Tensor, back: Back) -> HeldOutImage:
    pair = TrainingPair(given, target, torch.ones_like(target))
    return HeldOutImage(plane.image.name, pair, truth, back, plane.span)


def _count(planes: Sequence[_Plane]) -> int:
    return sum(plane.measured.values[0, 0].numel() for plane in planes)


_MATERIALS: Mapping[type[Task], Callable[[Split, Source, TrainingSettings], Material]] = {
    Denoise: _noisy,
    SuperResolve: _reduced,
}
