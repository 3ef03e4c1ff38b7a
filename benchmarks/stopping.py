"""How much it costs to stop by held-out pixels: the answer, beside the best image, which only the truth knows.

    python benchmarks/stopping.py [--data FOLDER] [--images fish,mice] [--size 128] [--steps 900] [--seeds 0,1]

The deep image prior goes on to the last step here, once alone and once mixed with similar patches, as it denoises.
Where it would have stopped by itself is told afterwards from its held-out errors: once without a limit of steps, and
once with its own. Its answer is a mean, which can be better than the best single image: then the gap is below 0. Of a
mixture the images are compared that the held-out pixels judge, for which similar patches have not used these pixels.
"balanced" looks at the image now and then; beside the looks stands what it gives back in the end. Beside the gaps
stands how far the answer is above that of "fast". The images and their truth are those of ``denoising.py``, of each the
square in the middle.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast, final

import numpy as np
import torch
from pairs import DEFAULT_DATA, GENERATED, load, matched, names
from torch import Tensor

from napari_deep_prior import DeepImagePrior, Denoise, settings_for
from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.frame import canonical
from napari_deep_prior.arrays.pieces import plan
from napari_deep_prior.estimation.channels import GivenNoise, estimate_windows
from napari_deep_prior.estimation.sampling import windows_of
from napari_deep_prior.methods import Method
from napari_deep_prior.physics.misfit import Misfit
from napari_deep_prior.problem import Problem
from napari_deep_prior.progress import Step
from napari_deep_prior.tasks.inputs import Inputs
from napari_deep_prior.tasks.task import Measured
from napari_deep_prior.training.stopping import CHECK_EVERY, LEAST_POWER, PATIENCE_FACTOR, WEIGHT_POWER

PRIOR = cast(DeepImagePrior, settings_for(Denoise(), "deep-image-prior"))

SMALLEST = 32
"""Pixels along a side below which too few are held out for the rule that is measured here."""


class Row(NamedTuple):
    """PSNR (dB) of the best image, the answer and the one that is given, with the best step; its dB above "fast"."""

    image: str
    best: tuple[float, int]
    chosen: tuple[float, int]
    given: tuple[float, int]
    above_fast: float


def main() -> None:
    """Print a table for the deep image prior, and one for "balanced"."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with a folder denoise/ of pairs")
    parser.add_argument("--images", default="", help="parts of the names of the images, comma separated; default all")
    parser.add_argument("--size", type=int, default=128, help=f"pixels along a side, {SMALLEST} or more")
    parser.add_argument("--steps", type=int, default=900, help="steps of the deep image prior; all images are kept")
    parser.add_argument("--seeds", default="0", help="comma separated")
    options = parser.parse_args()
    if options.size < SMALLEST:
        parser.error(f"--size is {options.size}: too few pixels can be held out; give {SMALLEST} or more")
    wanted = [part for part in options.images.split(",") if part]
    images = [name for name in (names(options.data) or GENERATED) if not wanted or any(part in name for part in wanted)]
    runs = [(image, int(seed)) for image in images for seed in options.seeds.split(",")]

    def prior(image: str, seed: int, *, patches: bool) -> Row:
        settings = dataclasses.replace(PRIOR, seed=seed, patches=patches)
        return _prior(Scene(options.data, image, options.size), settings, options.steps)

    def balanced(image: str, seed: int) -> Row:
        return _balanced(Scene(options.data, image, options.size), seed)

    size = f"{options.size} pixels along a side"
    for name, patches in (("mixed with similar patches", True), ("alone", False)):
        title = f"deep image prior {name}, {options.steps} steps, {size}"
        _table(title, f"in {PRIOR.steps} steps", runs, partial(prior, patches=patches))
    _table(f"balanced, {size}", "in the end", runs, balanced)


def _table(title: str, given: str, runs: list[tuple[str, int]], measure: Callable[[str, int], Row]) -> None:
    print(
        f"\n{title}\n{'image, seed':28} {'best':>12} {'chosen':>15} {'gap':>5} {given:>15} {'gap':>5}   - fast",
        flush=True,
    )
    rows = []
    for run in runs:
        rows.append(row := measure(*run))
        (best, step), *others = row[1:4]
        cells = [f"{row.image:28} {best:6.2f} @{step:4}"]
        cells += [f"{ratio:6.2f} @{number:4} {best - ratio:5.2f}" for ratio, number in others]
        cells.append(f"{row.above_fast:+6.2f}")
        print("   ".join(cells), flush=True)
    for name, place in (("chosen", 2), (given, 3)):
        gaps = [row.best[0] - row[place][0] for row in rows]
        print(f"gap {name}: mean {np.mean(gaps):.2f} dB, worst {np.max(gaps):.2f} dB", flush=True)
    above = [row.above_fast for row in rows]
    print(f"{given} above fast: mean {np.mean(above):+.2f} dB, worst {np.min(above):+.2f} dB", flush=True)


@final
class Scene:
    """The middle of a noisy image as a problem, and how far an image of it is from its truth."""

    def __init__(self, data: Path, image: str, size: int) -> None:
        self.name = image
        noisy, self.truth = (_middle(array, size) for array in load(data, image))
        axes = "YXS" if noisy.ndim == 3 else "YX"
        (piece,) = plan(noisy.shape, axes)
        measured = Measured(*canonical(noisy, axes, device=torch.device("cpu")), piece)
        self.frame = measured.frame
        noise, _ = estimate_windows(windows_of(noisy, axes), GivenNoise())
        prepared = Denoise().prepare(measured, noise, Inputs())
        self.problem = Denoise().problem(measured, prepared, Inputs()).problem

    def psnr(self, tensor: Tensor) -> float:
        """Return the peak signal-to-noise ratio (dB) of a canonical image, in grey levels."""
        image = self.frame.to_image(tensor)
        # Each image of a pair of W2S was stretched on its own.
        image, _ = matched(self.name, image, self.truth)
        return metrics.psnr(image, self.truth)

    def above_fast(self, answer: Step) -> float:
        """Return how far (dB) the answer of a run is above what "fast" makes of the image."""
        *_, step = settings_for(Denoise(), "nl-ridge").fit(self.problem)
        return self.psnr(answer.image) - self.psnr(step.image)


def _prior(scene: Scene, settings: DeepImagePrior, steps: int) -> Row:
    judged, run = _judged(scene.problem, dataclasses.replace(settings, steps=steps, patience=steps))
    errors = [float(step.criterion) for step in run]
    images = list(judged.values())
    ratios = [scene.psnr(image) for image in images]
    best = int(np.argmax(ratios)) + 1
    rows = [(ratios[best - 1], best)]
    pixels = round(PRIOR.held_out * scene.problem.measured.numel())
    for part in (errors, errors[: PRIOR.steps]):
        end, _ = last_step(part, PRIOR.patience)
        weights = weights_of(part[:end], pixels)
        mean = sum(float(weight) * image for weight, image in zip(weights, images, strict=False))
        rows.append((scene.psnr(cast(Tensor, mean)), int(np.nanargmin(part[:end])) + 1))
    return Row(f"{scene.name}, {settings.seed}", *rows, scene.above_fast(run[end - 1]))


def _balanced(scene: Scene, seed: int) -> Row:
    judged, run = _judged(scene.problem, dataclasses.replace(settings_for(Denoise(), "self-distillation"), seed=seed))
    ratios = {number: scene.psnr(image) for number, image in judged.items()}
    best = max(ratios, key=ratios.__getitem__)
    # The last step is the answer; the one before it still shows what was chosen.
    shown, answer = run[-2], run[-1]
    found = [(scene.psnr(step.image), int(step.chosen)) for step in (shown, answer)]
    return Row(f"{scene.name}, {seed}", (ratios[best], best), *found, scene.above_fast(answer))


def _judged(problem: Problem, method: Method) -> tuple[dict[int, Tensor], list[Step]]:
    """Run a method to its end; return the images that were judged by the held-out pixels, by step, and all steps."""
    watched = _Watched(problem.misfit)
    judged: dict[int, Tensor] = {}
    run: list[Step] = []
    for step in method.fit(dataclasses.replace(problem, misfit=watched)):
        run.append(step)
        if watched.judged is not None:
            judged[step.number], watched.judged = watched.judged, None
    return judged, run


def last_step(errors: Sequence[float], patience: int) -> tuple[int, bool]:
    """Return the step with which the deep image prior would have ended, and whether that is by its own patience."""
    for number in range(CHECK_EVERY, len(errors) + 1, CHECK_EVERY):
        chosen = int(np.nanargmin(errors[:number])) + 1
        if number - chosen > max(patience, PATIENCE_FACTOR * chosen):
            return number, True
    return len(errors), False


def weights_of(errors: Sequence[float], pixels: int) -> Array:
    """Return how much each step counts in the answer of the deep image prior, by its held-out pixels; the sum is 1."""
    weights = np.nan_to_num((np.nanmin(errors) / np.asarray(errors)) ** max(LEAST_POWER, WEIGHT_POWER * pixels))
    # The first image counts only as long as there is no other.
    weights[:-1][:1] = 0
    return weights / weights.sum()


def _middle(image: Array, size: int) -> Array:
    starts = [max(0, (length - size) // 2) for length in image.shape[:2]]
    return image[starts[0] : starts[0] + size, starts[1] : starts[1] + size]


@final
class _Watched(Misfit):
    """A misfit that remembers what was judged by it: only held-out pixels are asked without wanting a gradient."""

    def __init__(self, misfit: Misfit) -> None:
        self.misfit = misfit
        self.judged: Tensor | None = None

    def pointwise(self, predicted: Tensor, measured: Tensor) -> Tensor:
        if not predicted.requires_grad:
            self.judged = predicted
        return self.misfit.pointwise(predicted, measured)

    def stabilise(self, measured: Tensor) -> Tensor:
        return self.misfit.stabilise(measured)

    def expected(self, image: Tensor) -> Tensor:
        return self.misfit.expected(image)

    def stabilised_variance(self, image: Tensor) -> Tensor:
        return self.misfit.stabilised_variance(image)

    def unstabilise(self, means: Tensor) -> Tensor:
        return self.misfit.unstabilise(means)


if __name__ == "__main__":
    main()
