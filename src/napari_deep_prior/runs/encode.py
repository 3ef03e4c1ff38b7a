"""The encoder of a network alone: the code of an image, and its principal components in three colours."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from ..arrays.axes import Array, parse_axes, stack_axes
from ..arrays.components import as_colours, principal_components
from ..arrays.frame import RANGE, MissingPixelsError, NothingToRestoreError
from ..arrays.pieces import Piece, plan
from ..estimation.channels import estimate_windows
from ..estimation.sampling import windows_of
from ..methods.applied_model import AppliedModel
from ..networks import RESIDUAL_NETWORKS
from ..networks.network import ResidualNetwork
from ..patches.patch_denoising import stabilised
from ..physics.kernels import Bicubic
from ..physics.noise_model import NoiseModel
from ..physics.operators import Downsample
from ..progress.stages import checkpoint, stage
from ..tasks import Denoise, Task
from ..tasks.inputs import Inputs
from ..tasks.task import Measured, Prepared
from ..training.model import Model
from ..training.standardised import Standardisation
from ..training.training_settings import TrainingSettings
from .devices import give_memory_back, resolve_device
from .errors import errors_as_sentences
from .source import ArrayLike, SourceArray
from .train import train
from .training_choices import task_of
from .training_images import TrainingImage, pixel_count

STEPS = 600
"""Training steps on the image itself if no network is given: about 15 s on one core."""

LARGEST_CROP = 96
"""Pixels along a side of the crops of that training."""

SMALLEST_CROP = 8
"""The smallest that a training takes."""

DRAWN_NOISE = 0.1
"""Noise that is drawn on the image in that training, in units of its standard deviation (Vincent et al. 2008,
doi 10.1145/1390156.1390294): the code is to say what is there, and not the value of each pixel."""

OWN_NETWORK = "autoencoder"
"""The network that is trained on the image itself if no other is chosen: all that it draws passes its code."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Code:
    """What the encoder of a network makes of an image.

    Parameters
    ----------
    pixels : ndarray, (..., C, rows, columns)
        The code, float32: a channel for each feature.
    axes : str
        One letter per axis of it.
    colours : ndarray, (..., rows, columns, 3)
        Its first three principal components as red, green and blue, uint8, each over its own range.
    shares : tuple of float
        Share of the variance of the code in each of the three.
    factors : mapping of str to float
        Pixels of the code in one of the image along rows and columns.
    model : Model
        The network.
    """

    pixels: Array
    axes: str
    colours: Array
    shares: tuple[float, ...]
    factors: Mapping[str, float]
    model: Model

    @property
    def colour_axes(self) -> str:
        """One letter per axis of the colours."""
        return self.axes.replace("C", "") + "S"

    def in_words(self) -> str:
        """Return a sentence on it."""
        channels, rows, columns = self.pixels.shape[-3:]
        shares = ", ".join(f"{share:.0%}" for share in self.shares)
        width = 1 / self.factors["Y"]
        wide = "as wide as one of the image" if width == 1 else f"{width:g} pixels of the image wide"
        return (
            f"the code has {channels} channels of {rows} × {columns} pixels, each {wide}; red, green and blue hold "
            f"{shares} of its variance"
        )


def encode(
    image: ArrayLike,
    model: Model | None = None,
    *,
    axes: str | None = None,
    network: str | ResidualNetwork = OWN_NETWORK,
    device: str = "auto",
) -> Code:
    """Return the code of an image: the features of a network at its narrowest or coarsest place.

    Parameters
    ----------
    image : array
        What was measured. Each plane of a stack is encoded by itself.
    model : Model, optional
        A trained network. Without one a network is trained on the image itself, to draw the image without noise that
        is added to it.
    axes : str, optional
        One letter per axis, guessed if not given.
    network : str or ResidualNetwork
        The network that is trained if no model is given.
    device : str
        "auto", "cuda", "mps" or "cpu".

    Raises
    ------
    ValueError
        If the image has missing pixels, is constant or too small, or the model is for other images.
    RestorationError
        If the device fails or its memory does not suffice.
    """
    letters, processor = parse_axes(axes, image.shape), resolve_device(device)
    source = SourceArray(image, letters, volume=False, mask=None)
    with errors_as_sentences(processor):
        if model is None:
            model = _trained_on(np.asarray(image), letters, _network(network), device)
        _refuse_volumes(model)
        applied, task = AppliedModel(model, processor), task_of(model)
        noise = _noise(image, letters, task) if isinstance(task, Denoise) else ()
        with stage("Encoding"):
            planes = (_plane(source, piece, processor) for piece in plan(image.shape, letters))
            codes = _codes((None if each is None else _input(each, model, task, noise) for each in planes), applied)
        give_memory_back(processor)
    return _code(codes, image, letters, model)


def _network(network: str | ResidualNetwork) -> ResidualNetwork:
    if isinstance(network, ResidualNetwork):
        return network
    if network not in RESIDUAL_NETWORKS:
        raise ValueError(f"network is {network!r}; one of {', '.join(RESIDUAL_NETWORKS)} is needed")
    return RESIDUAL_NETWORKS[network]()


def _trained_on(pixels: Array, axes: str, network: ResidualNetwork, device: str) -> Model:
    """Return a network that was trained on an image to draw it without noise that is added to it."""
    image = TrainingImage(name="the image", pixels=pixels, axes=axes)
    finite = pixels[np.isfinite(pixels)]
    lengths = dict(zip(axes, pixels.shape, strict=True))
    crop, smallest = min(LARGEST_CROP, lengths["Y"], lengths["X"]), max(SMALLEST_CROP, network.stride)
    if crop < smallest:
        raise ValueError(
            f"the image has {lengths['Y']} × {lengths['X']} pixels, too few to train a network on whose coarsest "
            f"pixels are {network.stride} wide: at least {smallest} are needed, or a model"
        )
    settings = TrainingSettings(network=network, correction=False, clean=True, validate=0.0, crop=crop, epochs=1)
    epochs = max(1, round(STEPS * settings.examples * crop**2 / pixel_count([image])))
    settings = dataclasses.replace(settings, epochs=epochs)
    # What is constant or has no finite pixel is refused below.
    deviation = float(finite.std()) if finite.size else 0.0
    task = Denoise(sigma=DRAWN_NOISE * deviation or 1.0)
    with stage("Preparing the training"):
        training = train([image], task, settings, device=device)
    with stage("Training a network on the image"):
        for _ in training:
            checkpoint()
    training.close()
    return training.model


def _plane(source: SourceArray, piece: Piece, device: torch.device) -> Measured | None:
    """Return a plane; None if it is constant."""
    checkpoint()
    try:
        return source.measured(piece, device=device, missing="refuse")[1]
    except NothingToRestoreError:
        return None
    except MissingPixelsError as error:
        raise ValueError(f"{str(error).partition(':')[0]}: fill them first, or replace them") from error


def _codes(inputs: Iterable[Tensor | None], applied: AppliedModel) -> list[Array]:
    """Return the codes of all planes; that of a constant one is the code of a plane on which there is nothing."""
    codes: list[Array | None] = []
    empty: Tensor | None = None
    for given in inputs:
        if given is not None:
            _refuse_channels(applied.model, given.shape[1])
            empty = torch.full_like(given, RANGE[0] if applied.model.factors else 0.0) if empty is None else empty
        codes.append(None if given is None else applied.code(given)[0].cpu().numpy())
    if empty is None:
        raise ValueError("the image is constant, or has no finite pixel: there is no code of it; choose another one")
    return [applied.code(empty)[0].cpu().numpy() if code is None else code for code in codes]


def _noise(image: ArrayLike, axes: str, task: Denoise) -> tuple[NoiseModel, ...]:
    """Return the noise of the channels of an image, as far as the network was not trained for a given one."""
    with stage("Estimating the noise"):
        return estimate_windows(windows_of(image, axes), task.given_noise)[0]


def _input(measured: Measured, model: Model, task: Task, noise: tuple[NoiseModel, ...]) -> Tensor:
    """Return what goes into the network for a plane."""
    values = measured.values
    if model.factors:
        rows, columns = (
            round(length * factor) for length, factor in zip(values.shape[-2:], model.factors, strict=True)
        )
        return Downsample(model.factors, Bicubic()).interpolate(values)[..., :rows, :columns]
    if all(each.noiseless for each in noise):
        mean, deviation = values.mean(dim=(-2, -1), keepdim=True), values.std(dim=(-2, -1), keepdim=True)
        return (values - mean) / deviation.clamp(min=1e-6)
    problem = task.problem(measured, Prepared(task.operator("YX", None), noise), Inputs()).problem
    return Standardisation.named(model.intensity, values, problem.misfit).of_means(stabilised(problem))


def _code(codes: list[Array], image: ArrayLike, axes: str, model: Model) -> Code:
    """Return the codes of all planes as one."""
    stack = stack_axes(axes, volume=False)
    lengths = [image.shape[axes.index(letter)] for letter in stack]
    every = np.stack(codes)
    with stage("Principal components"):
        components, shares = principal_components(every.swapaxes(0, 1))
    colours = as_colours(components)
    factor = (model.factors[0] if model.factors else 1.0) / model.network.stride
    return Code(
        pixels=every.reshape(*lengths, *every.shape[1:]),
        axes=f"{stack}CYX",
        colours=colours.reshape(*lengths, *colours.shape[1:]),
        shares=tuple(map(float, shares)),
        factors={"Y": factor, "X": factor},
        model=model,
    )


def _refuse_volumes(model: Model) -> None:
    if len(model.shape) == 3:
        raise ValueError("the network was trained on volumes, and planes are encoded: give one that is for planes")


def _refuse_channels(model: Model, channels: int) -> None:
    if model.channels not in (1, channels):
        raise ValueError(f"the network was trained on images of {model.channels} channels, and this one has {channels}")
