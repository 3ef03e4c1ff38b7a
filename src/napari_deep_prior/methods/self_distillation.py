"""Self-distillation: train a network to remove noise from a first estimate of the image, and apply it to the image."""

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
from ..patches import patch_denoising
from ..patches.mixing import Estimate, mix
from ..patches.patch_denoising import denoise_without_held_out, refine, stabilised
from ..problem import Problem
from ..progress import Step
from ..progress.stages import stage
from ..settings import Setting
from ..training import trainer
from ..training.augmentation import crop_shape, draw_crops
from ..training.held_out import HELD_OUT_ERROR, BestImage, hold_out
from ..training.precision import Precision
from ..training.schedules import warm_rate
from ..training.trainer import Trainer, TrainingPair, TrainingPlan
from .method import SeededMethod

LOOK_EVERY = 100
"""Steps between two predictions of the whole image: one takes as long as some ten steps."""

MARGIN = 1.0
"""Standard errors by which the held-out error must fall for an image to be better: smaller differences are chance."""

AVERAGING = 0.98
"""Share of the past in the running mean of a network's weights."""

SECONDS_PER_EXAMPLE_PIXEL = 0.1 / (6 * 96**2)
"""Seconds that a step takes per pixel of its examples (two cores with AVX2: 0.1 s for six examples of 96² pixels)."""

SECONDS_PER_PIXEL = 20 / 512**2
"""Seconds per pixel of the image that the passes over similar patches and the predictions take (two cores with AVX2:
30 s for 512² pixels where a training step took 1.5 times as long as above)."""

SMALLEST_SCALE = 1e-3
"""Standard deviation of an estimate, in units of the noise, below which it counts as constant."""


@final
@dataclass(frozen=True, kw_only=True)
class SelfDistillation(SeededMethod):
    """Train a small network to remove the estimated noise, on examples made from this image alone.

    Similar patches give a first estimate of the image (:mod:`.patch_denoising`). In every step new noise of the
    estimated strength is added to crops of it, and the network is trained to remove that noise. Then it is applied to
    the measurement, whose noise it was not trained on. It is closer to the truth than the first estimate, whose own
    errors it cannot predict from the crops (cf. Noisier2Noise, Moran et al. 2020, doi 10.1109/CVPR42600.2020.01208;
    Recorrupted-to-Recorrupted, Pang et al. 2021, doi 10.1109/CVPR46437.2021.00208). Held-out pixels decide the share of
    the network and that of similar patches.

    For denoising only, and only where the noise is independent from pixel to pixel.
    """

    label = "Self-distilled U-Net"
    reason = "a U-Net is trained on the image itself, since the noise is independent from pixel to pixel"

    steps: Annotated[int, Setting("Steps", "most training steps of each network", 1, 1_000_000, False)] = 800
    patience: Annotated[
        int, Setting("Patience", "steps without a smaller held-out error after which training ends", 1, 1_000_000)
    ] = 600
    members: Annotated[
        int, Setting("Members", "networks that are trained and averaged; 2 or more also give the uncertainty", 1, 16)
    ] = 1
    rate: Annotated[float, Setting("Learning rate", "step size of the optimizer at its largest", 1e-6, 1.0)] = 0.005
    crop: Annotated[int, Setting("Crop", "pixels along a side of a training example", 8, 4096)] = 64
    examples: Annotated[int, Setting("Examples", "training examples in a step", 1, 1024)] = 6
    held_out: Annotated[
        float,
        Setting("Held-out share", "share of the pixels that only decide between network and patches", 0.005, 0.5),
    ] = 0.05
    precision: Annotated[
        Precision, Setting("Precision", "auto: bfloat16 inside the network where the processor has it")
    ] = "auto"
    shared: Annotated[
        bool,
        Setting(
            "One network",
            "of a stack, one network is trained on crops from all over it and applied to every slice: many times "
            "faster; no: each slice has its own. Not with two or more members",
        ),
    ] = True
    network: Annotated[ResidualNetwork, Setting("Network", "the network that is trained", groups=RESIDUAL_NETWORKS)] = (
        field(default_factory=UNet)
    )

    def why_not(self, problem: Problem) -> str:
        """Return why this method cannot solve a problem; empty if it can."""
        correlated = "the noise of neighbouring pixels is correlated, and the U-Net is trained on independent noise"
        return patch_denoising.why_not(problem) or (correlated if problem.correlation_length > 1 else "")

    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield one step per training step; the image of the last one is the answer.

        Raises
        ------
        ValueError
            If the problem is none that it can solve.
        """
        self.refuse(problem)
        training = _Training(self, problem, self.generator(problem))
        for step in training.steps():
            if step.number < step.total:
                yield step
        with stage("Final estimate"):
            yield training.finished(step)

    def memory(self, problem: Problem) -> int:
        """Return about how many bytes the fit will need."""
        training = trainer.memory(training_plan(self, problem), crop=self.crop, count=self.examples)
        images = (8 + 3 * self.members) * 4 * problem.measured.numel()
        return training + images + patch_denoising.memory(problem)

    def seconds(self, problem: Problem) -> float:
        """Return about how long the fit takes on two cores with AVX2: most end soon after their patience."""
        pixels = self.examples * math.prod(crop_shape(tuple(problem.measured.shape[2:]), self.crop))
        steps = min(self.steps, self.patience + LOOK_EVERY)
        training = self.members * steps * pixels * SECONDS_PER_EXAMPLE_PIXEL
        return training + SECONDS_PER_PIXEL * problem.measured.numel()


@final
class _Training:
    """The networks of a fit, one after the other, and the best image so far.

    Parameters
    ----------
    settings : SelfDistillation
        How they are trained.
    problem : Problem
        The problem that is solved.
    generator : torch.Generator
        Random numbers for the held-out pixels, the weights and the crops.
    """

    def __init__(self, settings: SelfDistillation, problem: Problem, generator: torch.Generator) -> None:
        self.settings, self.problem, self.generator = settings, problem, generator
        self.held_out, evaluated = hold_out(problem, settings.held_out, generator)
        self.patches = denoise_without_held_out(problem, self.held_out)
        self.best = BestImage(problem, evaluated, problem.misfit.unstabilise(self.patches.means))
        self.denoisers: list[_Denoiser] = []
        self.improved = 0

    def steps(self) -> Iterator[Step]:
        """Train; yield every step."""
        settings, best = self.settings, self.best
        number, length = 0, settings.steps
        while number < settings.members * length:
            if number == len(self.denoisers) * length:
                self.denoisers.append(
                    _Denoiser(settings, self.problem, self.patches.means, self.held_out, self.generator)
                )
            number += 1
            loss = self.denoisers[-1].train()
            # After the last step comes the answer, and nothing is left to decide.
            if number % LOOK_EVERY == 0 and number < settings.members * length:
                self._look(number)
                if number - self.improved >= settings.patience and len(self.denoisers) == 1:
                    # More steps bring nothing. Further networks take as many as this one has.
                    length = number
            yield Step(
                number=number,
                total=settings.members * length,
                loss=loss,
                criterion=best.error,
                criterion_name=HELD_OUT_ERROR,
                chosen=best.chosen,
                image=best.image,
            )

    def finished(self, last: Step) -> Step:
        """Return the last step with the answer: all networks and similar patches together."""
        estimates = [denoiser.estimate() for denoiser in self.denoisers]
        image, _ = refine(self.problem, _mean(estimates), self.patches, self.held_out)
        deviation = None
        if len(estimates) > 1:
            means = [self.problem.misfit.unstabilise(each.full) for each in estimates]
            deviation = torch.stack(means).std(dim=0)
        return dataclasses.replace(last, image=image, chosen=torch.tensor(last.number), deviation=deviation)

    def _look(self, number: int) -> None:
        """Keep the image of a step if it is better than the best one so far."""
        network = _mean([denoiser.quick_estimate() for denoiser in self.denoisers])
        patches = Estimate(self.patches.means, self.patches.means)
        if self.best.offer(number, mix(self.problem, network, patches, self.held_out), margin=MARGIN):
            self.improved = number


@final
class _Denoiser:
    """A network that is trained to remove noise from an estimate of the image.

    Parameters
    ----------
    settings : SelfDistillation
        How it is trained.
    problem : Problem
        The problem that is solved.
    clean : Tensor, (1, C, *S)
        The estimate to which noise is added: stabilised means.
    held_out : Tensor, (1, 1, *S)
        1 on held-out pixels.
    generator : torch.Generator
        Random numbers for the weights and the crops.
    """

    def __init__(
        self, settings: SelfDistillation, problem: Problem, clean: Tensor, held_out: Tensor, generator: torch.Generator
    ) -> None:
        self.settings, self.generator = settings, generator
        self.device_generator = torch.Generator(clean.device)
        self.device_generator.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        spatial = tuple(range(2, clean.ndim))
        self.mean = clean.mean(dim=spatial, keepdim=True)
        self.scale = clean.std(dim=spatial, keepdim=True).clamp(min=SMALLEST_SCALE)
        self.noisy = self._standardised(stabilised(problem))
        self.restricted = self._standardised(stabilised(problem, held_out))
        self.clean = self._standardised(clean)
        self.noise = problem.misfit.variance_at(clean).sqrt() / self.scale
        self.trainer = Trainer(training_plan(settings, problem), generator)

    def train(self) -> Tensor:
        """Take one step; return the loss (0-d, detached) from before it."""
        settings = self.settings
        clean, deviation = draw_crops(
            (self.clean, self.noise), crop=settings.crop, count=settings.examples, generator=self.generator
        )
        noise = torch.randn(clean.shape, generator=self.device_generator, device=clean.device)
        pair = TrainingPair(clean + deviation * noise, clean, torch.ones_like(clean))
        return self.trainer.train(pair, rate=warm_rate(settings.rate, step=self.trainer.steps + 1))

    def estimate(self) -> Estimate:
        """Return the stabilised means that the network gives, averaged over flips and rotations of the image."""
        restricted, full = (self.trainer.predict(image) for image in (self.restricted, self.noisy))
        return Estimate(restricted=restricted * self.scale + self.mean, full=full * self.scale + self.mean)

    def quick_estimate(self) -> Estimate:
        """Return the stabilised means without the held-out pixels, from a single prediction."""
        means = self.trainer.predict(self.restricted, orientations=1) * self.scale + self.mean
        return Estimate(restricted=means, full=means)

    def _standardised(self, means: Tensor) -> Tensor:
        return (means - self.mean) / self.scale


def training_plan(settings: SelfDistillation, problem: Problem) -> TrainingPlan:
    """Return what is trained for a problem."""
    return TrainingPlan(
        network=settings.network,
        channels=problem.measured.shape[1],
        shape=tuple(problem.measured.shape[2:]),
        precision=settings.precision,
        device=problem.measured.device,
        averaging=AVERAGING,
        optimizer="muon",
    )


def _mean(estimates: list[Estimate]) -> Estimate:
    return Estimate(
        restricted=torch.stack([estimate.restricted for estimate in estimates]).mean(dim=0),
        full=torch.stack([estimate.full for estimate in estimates]).mean(dim=0),
    )
