"""Apply a network that was trained on other images; held-out pixels of this one decide whether it fits."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, final

import numpy as np
import torch
from torch import Tensor

from ..arrays.windows import most_varied
from ..networks.unet import UNet
from ..patches import patch_denoising
from ..patches.patch_denoising import denoise_without_held_out, fill_missing, stabilised
from ..patches.quick import first_look, last_passes
from ..physics.averaged_misfit import misfit_of_part
from ..physics.misfit import weighted_mean
from ..problem import Problem
from ..progress import Step
from ..progress.stages import stage
from ..settings import Setting
from ..training import trainer
from ..training.held_out import hold_out
from ..training.model import Model
from ..training.standardised import Standardisation
from . import reslicing
from .applied_model import AppliedModel, plan_of
from .enlargement import CHUNK, Enlargement
from .method import Method
from .pre_denoising import pre_denoised
from .reslicing import reslicing_of
from .zero_shot_sr import ZeroShotSR

WINDOW = 128
"""Pixels along a side of the part of an image on which the network is compared with similar patches."""

CONFIDENCE = 2.0
"""Standard errors by which the network must be worse there for it not to fit."""

SECONDS_PER_PIXEL = 0.1 / (3 * 6 * 96**2)
"""Seconds that a U-Net of the usual width takes for a pixel (two cores with AVX2): a third of a training step."""

NARROW = 0.25
"""Time of the narrowest network, in units of that of the U-Net of the usual width."""

LAST_PASSES = 1 / 2
"""Time of the last passes, in units of that of denoising by similar patches (measured)."""

DOES_NOT_FIT = "the trained network does not fit this image"

UNFIT = (
    f"{DOES_NOT_FIT}: held-out pixels are explained better by similar patches, which "
    "restored it instead; self-distillation may be better still"
)

SMALLEST_REDUCED = 12
"""Pixels along a side that a reduced image must have to compare the network with interpolation on it."""

OTHER_BLUR = 0.02
"""Share of its height by which a blur may differ from that which the network was trained for."""


@final
@dataclass(frozen=True, kw_only=True)
class TrainedNetwork(Method):
    """Apply the network of a model to the image, in one or more of its flips and rotations.

    Before that it is compared with what needs no training, where the image shows which of them is right. For
    denoising: on pixels of a part of the image that were held out from both, with similar patches. If it is worse than
    chance allows, these restore the image instead. For super-resolution: on the image itself, reduced once more, with
    interpolation. If it is worse, the image is enlarged by :class:`.ZeroShotSR` instead. The step says so.

    An image has as many channels as the images that the network was trained on; a network for one channel takes the
    channels one by one.
    """

    label = "Trained network"
    reason = "a trained network was given"

    orientations: Annotated[
        int, Setting("Orientations", "flips and rotations of the image over which the result is averaged", 1, 8)
    ] = 4
    compare: Annotated[
        bool, Setting("Compare first", "find out whether the network fits the image; no: apply it whatever it does")
    ] = True
    patches: Annotated[
        bool,
        Setting(
            "Similar patches",
            "for denoising: last passes of similar patches, which are found in the network's image; better and slower",
        ),
    ] = True
    held_out: Annotated[
        float, Setting("Held-out share", "share of the pixels that decide whether the network fits", 0.005, 0.5)
    ] = 0.05

    def why_not(self, problem: Problem) -> str:
        """Return why this method cannot solve a problem; empty if it can."""
        model = problem.model
        if model is None:
            return "no trained network was given: give it with --model"
        channels = problem.measured.shape[1]
        if model.channels not in (1, channels):
            return f"the network was trained on images of {model.channels} channels, and this one has {channels}"
        if len(model.shape) == 3 and problem.measured.ndim != 5:
            return "the network was trained on volumes, and a plane is to be restored"
        if problem.operator.is_identity:
            return f"the network was trained to {model.task}, and nothing is to be enlarged" if model.factors else ""
        if reason := reslicing.why_not(problem.operator):
            return reason
        if not model.factors:
            return f"the network was trained to {model.task}, and the image is to be enlarged"
        factors = reslicing_of(problem.operator).operator.factors
        if not np.allclose(factors, model.factors, atol=1e-6):
            given, trained = (" × ".join(f"{factor:g}" for factor in each) for each in (factors, model.factors))
            return f"the network was trained to enlarge by {trained}, and by {given} is asked for"
        return ""

    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield a single step with the image; more of them if the network does not fit, and another method takes over.

        Raises
        ------
        ValueError
            If the network is for other images or another task.
        """
        if (reason := self.why_not(problem)) or problem.model is None:
            raise ValueError(reason)
        network = AppliedModel(problem.model, problem.measured.device)
        if problem.operator.is_identity:
            yield self._denoised(problem, network)
        else:
            yield from self._enlarged(problem, network)

    def memory(self, problem: Problem) -> int:
        """Return about how many bytes are needed, those of the method that takes over included."""
        if problem.model is None:
            return 0
        plan = plan_of(problem.model, problem.measured.device)
        pixels = math.prod(problem.measured.shape[-2:])
        own = 12 * 4 * problem.measured.numel() + trainer.memory(plan, crop=8, count=1, pixels=min(pixels, CHUNK))
        if problem.operator.is_identity:
            return own + trainer.memory(plan, crop=8, count=1, pixels=pixels) + patch_denoising.memory(problem)
        return max(own, ZeroShotSR().memory(problem)) if self.compare else own

    def seconds(self, problem: Problem) -> float:
        """Return about how long it takes on two cores with AVX2 if the network fits."""
        if problem.model is None:
            return 0.0
        shape = problem.operator.image_shape(tuple(problem.measured.shape[2:]))
        pixels = math.prod(shape) * (problem.measured.shape[1] if problem.model.channels == 1 else 1)
        # Narrow layers take more time for each of their channels.
        width = max(NARROW, problem.model.network.widest / UNet().widest)
        part = (2 * WINDOW**2) / problem.measured[0, 0].numel() * patch_denoising.seconds(problem)
        compared = min(1.0, part) if problem.operator.is_identity and self.compare else 0.0
        if problem.operator.is_identity and self.patches:
            compared += LAST_PASSES * patch_denoising.seconds(problem)
        return (self.orientations + 1) * pixels * width * SECONDS_PER_PIXEL + compared

    def _denoised(self, problem: Problem, network: AppliedModel) -> Step:
        space = Standardisation.named(network.model.intensity, problem.measured, problem.misfit)
        comparable = not patch_denoising.why_not(problem)
        passes = self.patches and comparable and problem.correlation_length == 1

        def means(noisy: Tensor, orientations: int) -> Tensor:
            return space.to_means(network.predict(space.of_means(noisy), orientations))

        whole = stabilised(problem)
        with stage("Applying the network"):
            full = means(whole, self.orientations)
        if self.compare and comparable:
            held_out, _ = hold_out(problem, self.held_out, torch.Generator().manual_seed(0))
            noisy = stabilised(problem, held_out)
            with stage("Comparing the network with similar patches"):
                window = most_varied(full.cpu().numpy(), WINDOW)
                around, inside = network.around(window, noisy.shape)
                restricted = means(noisy[around], 1)[inside]
                worse = is_worse(_part(problem, window), restricted, held_out[(..., *window)], passes=passes)
            if worse:
                *_, image = patch_denoising.denoise(problem)
                return _step(problem, image, UNFIT)
        if passes:
            with stage("Last passes of similar patches"):
                full = last_passes(whole, full, problem.misfit)
        return _step(problem, problem.misfit.unstabilise(full), "")

    def _enlarged(self, problem: Problem, network: AppliedModel) -> Iterator[Step]:
        known = (problem.weight > 0).to(problem.measured.dtype).expand_as(problem.measured)
        flat = reslicing_of(problem.operator)
        complete = dataclasses.replace(problem, measured=fill_missing(problem.measured, known == 0))
        if self.compare and _is_worse_than_interpolation(complete, network):
            remark = (
                f"{DOES_NOT_FIT}: on the image reduced once more it was worse than "
                "interpolation, so the image was enlarged by a network that is trained on it alone"
            )
            for step in ZeroShotSR().fit(problem):
                yield dataclasses.replace(step, remark=remark)
            return
        if not network.knows_noise:
            complete = pre_denoised(complete, flat.operator)
        with stage("Applying the network"):
            enlargement = Enlargement(complete, known, network=network.model.network, agree=not network.knows_noise)
            orientations = flat.orientations[: self.orientations]
            image = enlargement.improved(network.improve, orientations=orientations)
        yield _step(problem, image, _about_blur(network.model, flat.operator.blur_image()))


def _step(problem: Problem, image: Tensor, remark: str) -> Step:
    misfit = problem.misfit.pointwise(problem.operator(image), problem.measured)
    return Step(
        number=1,
        total=1,
        loss=weighted_mean(misfit, problem.weight),
        criterion=None,
        criterion_name="",
        chosen=torch.tensor(1),
        image=image,
        remark=remark,
    )


def _part(problem: Problem, window: tuple[slice, slice]) -> Problem:
    """Return the problem of denoising some rows and columns of an image."""
    part: tuple[Any, ...] = (..., *window)
    weight = problem.weight.expand_as(problem.measured)[part]
    misfit = misfit_of_part(problem.misfit, part)
    return dataclasses.replace(problem, measured=problem.measured[part], weight=weight, misfit=misfit)


@torch.no_grad()
def is_worse(problem: Problem, restricted: Tensor, held_out: Tensor, *, passes: bool = False) -> bool:
    """Return whether stabilised means without the held-out pixels explain them worse than similar patches do.

    With ``passes``, than their first pass does: the others follow whichever came first, and make up for much.
    """
    misfit = problem.misfit
    if passes:
        patches = first_look(stabilised(problem, held_out), misfit)
    else:
        patches = denoise_without_held_out(problem, held_out).means
    counted = (held_out * problem.weight).expand_as(patches) > 0
    noisy = misfit.stabilise(problem.measured)
    worse = ((restricted - noisy).square() - (patches - noisy).square())[counted]
    if worse.numel() < 2:
        return False
    return float(worse.mean()) > CONFIDENCE * float(worse.std()) / math.sqrt(worse.numel())


@torch.no_grad()
def _is_worse_than_interpolation(problem: Problem, network: AppliedModel) -> bool:
    """Return whether the network restores the image, reduced once more, less well than interpolation does."""
    flat = reslicing_of(problem.operator)
    planes = reslicing.resliced(problem.measured, flat.orders[0] if len(flat.orders) == 1 else reslicing.IN_PLANE)
    reduced = flat.operator(planes)
    if min(reduced.shape[-2:]) < SMALLEST_REDUCED:
        return False
    rows, columns = planes.shape[-2:]
    interpolated = flat.operator.interpolate(reduced)[..., :rows, :columns]
    errors = [float((each - planes).square().mean()) for each in (network.improve(interpolated), interpolated)]
    return errors[0] > errors[1]


def _about_blur(model: Model, blur: Any) -> str:
    """Return a sentence on a blur that is not the one that a network was trained for; empty if it is that."""
    trained = model.settings.get("blur")
    if trained is None or blur is None:
        return ""
    one, other = np.asarray(trained, float), np.asarray(blur, float)
    if one.shape == other.shape and np.abs(one - other).max() <= OTHER_BLUR * one.max():
        return ""
    return (
        "the network was trained for another blur than the one that is given: train it for this one, or give the other"
    )
