"""Distillation: a network learns to undo the noise on a first estimate of the image, then undoes it on the image."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, final

import torch
from torch import Tensor

from ..networks import RESIDUAL_NETWORKS
from ..networks.network import ResidualNetwork
from ..networks.unet import UNet
from ..patches import patch_denoising as refinement
from ..patches.patch_denoising import Estimate, denoise_without_held_out, mix, refine, stabilised
from ..problem import Problem, Step
from ..settings import Setting
from ..training import trainer as student
from ..training.best import Best
from ..training.held_out import hold_out
from ..training.precision import Precision
from ..training.trainer import Trainer, crop_shape, draw_crops
from .method import SeededMethod

LOOK_EVERY = 200
"""Steps between two looks at the whole image: it takes as long as some ten steps."""

SECONDS_PER_EXAMPLE_PIXEL = 0.086 / (6 * 96**2)
"""Seconds that a step takes per pixel of its examples (two cores with AVX2: 86 ms for six examples of 96² pixels)."""

SECONDS_PER_PIXEL = 40 / 512**2
"""Seconds per pixel of the image that the passes over similar patches and the predictions take (two cores with AVX2:
40 s of 212 s for 512² pixels)."""

SMALLEST_SCALE = 1e-3
"""Standard deviation of an estimate, in units of the noise, below which it counts as constant."""


@final
@dataclass(frozen=True, kw_only=True)
class SelfDistillation(SeededMethod):
    """Teach a small network to undo the estimated noise, on examples made of this image alone.

    A first estimate of the image comes from patches that look alike (:mod:`.refinement`). Noise of the estimated
    strength is drawn anew on it in every step, and the network learns to take it away; what it has learned is then
    applied to the measurement, whose noise it has never seen. Where the estimate was wrong the network is less so:
    it cannot learn by heart what was left of the noise (cf. Noisier2Noise, Moran et al. 2020,
    doi 10.1109/CVPR42600.2020.01208; Recorrupted-to-Recorrupted, Pang et al. 2021, doi 10.1109/CVPR46437.2021.00208).
    Pixels that neither has seen decide how much each of them counts.

    For denoising only, and only where the noise is independent from pixel to pixel.
    """

    steps: Annotated[int, Setting("Steps", "training steps of each network", 1, 1_000_000, False)] = 2000
    members: Annotated[
        int, Setting("Members", "networks that are taught and averaged; 2 or more also give the uncertainty", 1, 16)
    ] = 1
    rate: Annotated[float, Setting("Learning rate", "step size of the optimizer at its largest", 1e-6, 1.0)] = 0.002
    crop: Annotated[int, Setting("Crop", "pixels along a side of a training example", 8, 4096)] = 96
    examples: Annotated[int, Setting("Examples", "training examples in a step", 1, 1024)] = 6
    held_out: Annotated[
        float, Setting("Held-out share", "share of the pixels that only decide what counts how much", 0.005, 0.5)
    ] = 0.05
    precision: Annotated[
        Precision, Setting("Precision", "auto: bfloat16 inside the network where the processor has it")
    ] = "auto"
    network: Annotated[ResidualNetwork, Setting("Network", "the network that is trained", groups=RESIDUAL_NETWORKS)] = (
        field(default_factory=UNet)
    )

    def why_not(self, problem: Problem) -> str:
        """Return why this method cannot solve a problem; empty if it can."""
        correlated = "the noise of neighbouring pixels is alike, and patches would take it for structure"
        return refinement.why_not(problem) or (correlated if problem.correlation_length > 1 else "")

    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield one step per training step; the image of the last one is the answer.

        Raises
        ------
        ValueError
            If the problem is none that it can solve.
        """
        self.refuse(problem)
        generator = self.generator(problem)
        held_out, evaluated = hold_out(problem, self.held_out, generator)
        patches = denoise_without_held_out(problem, held_out)
        best = Best(problem, evaluated, problem.misfit.unstabilise(patches))
        pupils: list[_Pupil] = []
        total = self.members * self.steps
        for number in range(1, total + 1):
            if number % self.steps == 1 or self.steps == 1:
                pupils.append(_Pupil(self, problem, patches, held_out, generator))
            loss = pupils[-1].learn()
            step = Step(
                number=number,
                total=total,
                loss=loss,
                criterion=best.error,
                criterion_name="held-out error",
                chosen=best.chosen,
                image=best.image,
            )
            if number == total:
                break
            if number % LOOK_EVERY == 0:
                taught = _mean([pupil.restricted() for pupil in pupils])
                best.offer(number, mix(problem, taught, Estimate(patches, patches), held_out))
            yield step
        estimates = [pupil.estimate() for pupil in pupils]
        image = refine(problem, _mean(estimates), patches, held_out)
        deviation = None
        if self.members > 1:
            deviation = torch.stack([problem.misfit.unstabilise(each.seen) for each in estimates]).std(dim=0)
        yield dataclasses.replace(step, image=image, chosen=torch.tensor(total), deviation=deviation)

    def memory(self, problem: Problem) -> int:
        """Return about how many bytes the fit will need."""
        channels, shape = problem.measured.shape[1], tuple(problem.measured.shape[2:])
        teaching = student.memory(
            self.network, inputs=channels, outputs=channels, shape=shape, crop=self.crop, count=self.examples,
            precision=self.precision, device=problem.measured.device,
        )  # fmt: skip
        images = (8 + 3 * self.members) * 4 * problem.measured.numel()
        return teaching + images + refinement.memory(problem)

    def seconds(self, problem: Problem) -> float:
        """Return about how long the fit takes on two cores with AVX2."""
        pixels = self.examples * math.prod(crop_shape(tuple(problem.measured.shape[2:]), self.crop))
        training = self.members * self.steps * pixels * SECONDS_PER_EXAMPLE_PIXEL
        return training + SECONDS_PER_PIXEL * problem.measured.numel()


class _Pupil:
    """A student that is taught to undo noise on a clean image, given as stabilised means (1, C, *S)."""

    def __init__(
        self, settings: SelfDistillation, problem: Problem, clean: Tensor, held_out: Tensor, generator: torch.Generator
    ) -> None:
        device, channels = clean.device, clean.shape[1]
        self.settings, self.generator = settings, generator
        self.on_device = torch.Generator(device).manual_seed(int(torch.randint(2**31, (), generator=generator)))
        spatial = tuple(range(2, clean.ndim))
        self.middle = clean.mean(dim=spatial, keepdim=True)
        self.scale = clean.std(dim=spatial, keepdim=True).clamp(min=SMALLEST_SCALE)
        self.noisy, self.filled = self._normal(stabilised(problem)), self._normal(stabilised(problem, held_out))
        self.clean = self._normal(clean)
        self.strength = problem.misfit.stabilised_variance(problem.misfit.unstabilise(clean)).sqrt() / self.scale
        self.student = Trainer(
            settings.network, inputs=channels, outputs=channels, shape=tuple(clean.shape[2:]), steps=settings.steps,
            rate=settings.rate, precision=settings.precision, device=device, generator=generator,
        )  # fmt: skip

    def learn(self) -> Tensor:
        """Take one step; return the loss (0-d, detached) from before it."""
        clean, strength = draw_crops(
            (self.clean, self.strength),
            crop=self.settings.crop,
            count=self.settings.examples,
            generator=self.generator,
        )
        noise = torch.randn(clean.shape, generator=self.on_device, device=clean.device)
        return self.student.learn(clean + strength * noise, clean, torch.ones_like(clean))

    def estimate(self) -> Estimate:
        """Return what the network makes of the measurement, averaged over its mirrored and turned versions."""
        restricted, seen = (self.student.predict(image) for image in (self.filled, self.noisy))
        return Estimate(restricted=restricted * self.scale + self.middle, seen=seen * self.scale + self.middle)

    def restricted(self) -> Estimate:
        """Return what the network makes of the measurement without the hidden pixels, in a hurry."""
        means = self.student.predict(self.filled, turns=1) * self.scale + self.middle
        return Estimate(restricted=means, seen=means)

    def _normal(self, means: Tensor) -> Tensor:
        return (means - self.middle) / self.scale


def _mean(estimates: list[Estimate]) -> Estimate:
    return Estimate(
        restricted=torch.stack([estimate.restricted for estimate in estimates]).mean(dim=0),
        seen=torch.stack([estimate.seen for estimate in estimates]).mean(dim=0),
    )
