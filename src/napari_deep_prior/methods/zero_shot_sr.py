"""Zero-shot super-resolution: a small network learns from the image itself how to enlarge it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal, final

import torch
from torch import Tensor

from ..networks import RESIDUAL_NETWORKS
from ..networks.network import ResidualNetwork
from ..networks.plain import Plain
from ..patches import nl_ridge as collaborative
from ..patches.patch_denoising import filled, on_planes, too_small
from ..physics.misfit import weighted_mean
from ..physics.operators import Downsample
from ..problem import Problem, Step
from ..settings import Setting
from ..training import cross_scale_pairs as lessons
from ..training import trainer as student
from ..training.precision import Precision
from ..training.schedules import TEST_EVERY, SlopeRate
from ..training.trainer import Trainer, crop_shape, oriented, oriented_back
from . import pre_denoising as quieting
from . import reslicing as sections
from .back_projection import agreeing
from .method import SeededMethod
from .reslicing import Reslicing, cut, joined

RECTIFIED = math.sqrt(6)
"""Gain of the weights with which rectified features stay of one size (He et al. 2015, doi 10.1109/ICCV.2015.123)."""

LOOK_EVERY, LOOK_SHARE = 200, 0.1
"""Fewest steps between two looks at the whole image, and the share of the time that they may take."""

SECONDS_PER_EXAMPLE_PIXEL = 0.032 / 96**2
"""Seconds that a step takes per pixel of its examples (two cores with AVX2: 32 ms for one example of 96² pixels)."""

BACKWARD = 2
"""What the backward pass takes longer than the forward one."""

CHUNK = 1 << 20
"""Pixels that go through the network at a time, to bound the memory."""

STRENGTHS = (2.0, 1.0)
"""Strength of the passes that bring patches together, in units of the error that the network makes in its lessons."""

GROUP_SIZE, SEARCH_RADIUS = 40, 10
"""Patches in a group, and pixels around in which they are looked for."""

PROBES = 4
"""Examples on which the error is measured, always the same ones."""


@final
@dataclass(frozen=True, kw_only=True)
class ZeroShotSR(SeededMethod):
    """Learn from the image how to undo its down-sampling (Shocher et al. 2018, "ZSSR", arXiv 1712.06087).

    What the operator makes of the image, and of smaller versions of it, is enlarged by interpolation, and a network
    learns what is lacking; then it is asked what the interpolated image lacks. Mirrored and turned versions of the
    image are answered apart; their median, made to agree with the measurement by back-projection, is the image.

    A volume is enlarged in its planes, one by one, or along Z alone: that is learned from its planes, and holds for
    samples that look alike in all directions (cells and nuclei), not for layered ones.

    Fails where an image has no patterns that recur at other scales: there it sharpens edges, and no more.
    """

    steps: Annotated[int, Setting("Steps", "the most training steps", 1, 1_000_000, False)] = 1200
    rate: Annotated[float, Setting("Learning rate", "step size of the optimizer at its largest", 1e-6, 1.0)] = 0.002
    rate_policy: Annotated[
        Literal["cosine", "slope"],
        Setting("Rate policy", "cosine: falls over all steps; slope: falls when nothing is learned any more, and ends"),
    ] = "cosine"
    crop: Annotated[int, Setting("Crop", "pixels along a side of a training example", 8, 4096)] = 96
    examples: Annotated[int, Setting("Examples", "training examples in a step", 1, 1024)] = 1
    gradual: Annotated[
        int, Setting("Gradual", "times that the answer so far, made smaller, is added to what is learned from", 0, 16)
    ] = 1
    denoising: Annotated[
        Literal["auto", "no"],
        Setting("Denoise first", "auto: where noise is found that is finer than the texture"),
    ] = "auto"
    example_noise: Annotated[
        float, Setting("Noise on examples", "added to what the network sees, as a share of the range", 0.0, 1.0)
    ] = 0.0
    back_project: Annotated[
        bool, Setting("Back-project", "let the result, measured again, be the image; off: as the network gives it")
    ] = True
    patches: Annotated[
        bool, Setting("Patches", "bring patches that look alike together in the result, which helps where it repeats")
    ] = True
    precision: Annotated[
        Precision, Setting("Precision", "auto: bfloat16 inside the network where the processor has it")
    ] = "auto"
    network: Annotated[ResidualNetwork, Setting("Network", "the network that is trained", groups=RESIDUAL_NETWORKS)] = (
        field(default_factory=Plain)
    )

    def why_not(self, problem: Problem) -> str:
        """Return why this method cannot solve a problem; empty if it can."""
        if reason := sections.why_not(problem.operator):
            return reason
        side = min(problem.measured.shape[-2:])
        small = f"the image is only {side} pixels wide, and what is learned from needs {lessons.SMALLEST_SIDE}"
        return small if side < lessons.SMALLEST_SIDE else ""

    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield one step per training step; the image of the last one is the answer.

        Raises
        ------
        ValueError
            If the problem is none that it can solve.
        """
        self.refuse(problem)
        pupil = _Pupil(self, problem)
        image, chosen = pupil.interpolated, 1
        for number in range(1, self.steps + 1):
            loss = pupil.learn(number)
            finished = number == self.steps or pupil.finished
            if finished or number % pupil.look_every == 0:
                image, chosen = (pupil.answer() if finished else pupil.quick_answer()), number
            yield Step(
                number=number,
                total=self.steps,
                loss=loss,
                criterion=pupil.error,
                criterion_name="cross-scale error",
                chosen=torch.tensor(chosen),
                image=image,
            )
            if finished:
                break

    def memory(self, problem: Problem) -> int:
        """Return about how many bytes the fit will need."""
        channels, shape = problem.measured.shape[1], tuple(problem.measured.shape[2:])
        teaching = student.memory(
            self.network, inputs=channels, outputs=channels, shape=shape[-2:], crop=self.crop, count=self.examples,
            precision=self.precision, device=problem.measured.device,
        )  # fmt: skip
        cuts = sections.sections(_downsample(problem))
        examples = lessons.memory(
            math.prod(shape[:-2]), *shape[-2:], channels=channels, operator=cuts.operator, turns=cuts.turns
        )
        larger = problem.operator.image_shape(shape)
        patches = (
            collaborative.memory(*larger[-2:], group_size=GROUP_SIZE, search_radius=SEARCH_RADIUS)
            if self.patches
            else 0
        )
        # The answers of all turns, before and after back-projection, and what they are sorted with.
        return teaching + examples + patches + 4 * (2 * len(cuts.turns) + 6) * channels * math.prod(larger)

    def seconds(self, problem: Problem) -> float:
        """Return about how long the fit takes on two cores with AVX2."""
        cuts = sections.sections(_downsample(problem))
        larger = problem.operator.image_shape(tuple(problem.measured.shape[2:]))
        pixels = math.prod(larger)
        example = self.examples * math.prod(crop_shape(tuple(problem.measured.shape[-2:]), self.crop))
        training = (1 + LOOK_SHARE) * self.steps * example * SECONDS_PER_EXAMPLE_PIXEL
        predictions = len(cuts.turns) * len(cuts.orders) + self.gradual
        prediction = pixels * SECONDS_PER_EXAMPLE_PIXEL / (1 + BACKWARD)
        passes = len(STRENGTHS) * (1 + self.gradual) if self.patches else 0
        one_pass = collaborative.seconds(
            problem.measured.shape[1] * pixels, group_size=GROUP_SIZE, search_radius=SEARCH_RADIUS
        )
        return training + predictions * prediction + passes * one_pass


class _Pupil:
    """A student, what it learns from, and the image that it is taught to enlarge."""

    def __init__(self, settings: ZeroShotSR, problem: Problem) -> None:
        operator = _downsample(problem)
        self.settings = settings
        self.generator = settings.generator(problem)
        self.sections = sections.sections(operator)
        self.known = (problem.weight > 0).to(problem.measured.dtype).expand_as(problem.measured)
        self.problem = _prepared(settings, problem, self.known, self.sections)
        measured = self.problem.measured
        self.interpolated = operator.interpolate(measured)
        planes, weight = (cut(image, (0, 1, 2)) for image in (measured, self.known))
        self.lessons = lessons.of_image(planes, weight, self.sections.operator, self.sections.turns)
        # Where planes are learned from, but others are enlarged, the answer is no example.
        self.in_planes = self.sections.orders == sections.PLANES
        small = too_small(tuple(self.interpolated.shape[2:]))
        self.patches = settings.patches and self.in_planes and not small
        self.student = Trainer(
            settings.network, inputs=measured.shape[1], outputs=measured.shape[1], shape=tuple(planes.shape[2:]),
            steps=settings.steps, rate=settings.rate, precision=settings.precision, device=measured.device,
            generator=self.generator, gain=RECTIFIED, error="absolute",
        )  # fmt: skip
        self.policy = SlopeRate(settings.rate) if settings.rate_policy == "slope" else None
        probes = settings.generator(problem)
        self.probe = self.lessons.draw(crop=settings.crop, count=PROBES, generator=probes)
        self.error = self._error()
        seen = self.interpolated.shape[2:].numel() * len(self.sections.orders)
        taught = (1 + BACKWARD) * settings.examples * settings.crop**2
        self.look_every = max(LOOK_EVERY, round(seen / taught / LOOK_SHARE))

    @property
    def finished(self) -> bool:
        """Whether nothing more is learned."""
        return self.policy is not None and self.policy.finished

    def learn(self, number: int) -> Tensor:
        """Take one step; return the loss (0-d, detached) from before it."""
        settings = self.settings
        stage = settings.steps // (settings.gradual + 1)
        if self.in_planes and settings.gradual and number > 1 and stage and number % stage == 1:
            lessons.add_answer(self.lessons, cut(self._with_patches(self.quick_answer()), (0, 1, 2)))
        seen, truth, weight = self.lessons.draw(crop=settings.crop, count=settings.examples, generator=self.generator)
        if settings.example_noise:
            noise = torch.randn(seen.shape, generator=self.generator).to(seen.device)
            seen = seen + settings.example_noise * noise
        loss = self.student.learn(seen, truth, weight, rate=None if self.policy is None else self.policy.rate)
        if number % TEST_EVERY == 0:
            self.error = self._error()
            if self.policy is not None:
                self.policy.observe(number, float(self.error))
        return loss

    def answer(self) -> Tensor:
        """Return the image (1, C, *S)."""
        return self._with_patches(self._answer(self.sections.turns))

    def quick_answer(self) -> Tensor:
        """Return the image (1, C, *S) in a hurry."""
        return self._answer(self.sections.turns[:1])

    @torch.no_grad()
    def _answer(self, turns: tuple[int, ...]) -> Tensor:
        """Return the median over mirrored and turned versions of the image, and the mean over ways to cut it."""
        answers = []
        for order in self.sections.orders:
            planes = cut(self.interpolated, order)
            versions = [
                joined(oriented_back(self._improved(oriented(planes, turn)), turn), order, like=self.interpolated)
                for turn in turns
            ]
            answers.append(torch.stack([self._agreeing(version) for version in versions]).median(dim=0).values)
        return self._agreeing(torch.stack(answers).mean(dim=0))

    @torch.no_grad()
    def _with_patches(self, image: Tensor) -> Tensor:
        """Return the mean of an image and of what patches that look alike make of it."""
        if not self.patches:
            return image
        together = image
        refined = partial(collaborative.refine, group_size=GROUP_SIZE, search_radius=SEARCH_RADIUS)
        for strength in STRENGTHS:
            deviation = (strength * self.error).clamp(min=collaborative.SMALLEST_STRENGTH)
            planes = on_planes(refined, together, together, deviation.square().expand_as(together))
            together = self._agreeing(planes)
        return (image + together) / 2

    def _agreeing(self, image: Tensor) -> Tensor:
        return agreeing(self.problem, image, self.known) if self.settings.back_project else image

    def _improved(self, planes: Tensor) -> Tensor:
        """Return planes with what the network adds to them, in strips that overlap by all that it sees."""
        margin, stride = self.settings.network.margin, self.settings.network.stride
        rows, columns = planes.shape[-2:]
        height = max(1, CHUNK // columns // stride) * stride
        together = max(1, CHUNK // (rows * columns))
        parts = []
        for some in planes.split(together):
            strips = []
            for first in range(0, rows, height):
                start, last = max(first - margin, 0), min(first + height, rows)
                strip = self.student.improve(some[..., start : min(last + margin, rows), :])
                strips.append(strip[..., first - start : last - start, :])
            parts.append(torch.cat(strips, dim=-2))
        return torch.cat(parts)

    @torch.no_grad()
    def _error(self) -> Tensor:
        seen, truth, weight = self.probe
        return weighted_mean((self.student.improve(seen) - truth).abs(), weight)


def _downsample(problem: Problem) -> Downsample:
    assert isinstance(problem.operator, Downsample)  # noqa: S101  (for mypy: the limits say so)
    return problem.operator


def _prepared(settings: ZeroShotSR, problem: Problem, known: Tensor, cuts: Reslicing) -> Problem:
    """Return the problem with its measurement complete, and without noise."""
    complete = dataclasses.replace(problem, measured=filled(problem.measured, known == 0))
    return complete if settings.denoising == "no" else quieting.pre_denoised(complete, cuts)
