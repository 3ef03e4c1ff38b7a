"""How fast signal, structure and noise are fitted: the experiment of Ulyanov et al. 2018 (their figure 2).

    python benchmarks/fitting_speed.py [--size 96] [--steps 400] [--seeds 0] [--plot docs/images/fitting-speed.png]

A photograph (scikit-image's cameraman), the same with noise, its pixels in random order, and white noise of the same
mean and variance are fitted by the deep image prior, with one network after the other. The input of the network stays
the same in every step, and nothing stops the fit. What counts is the error that is left, as a share of the variance of
what is fitted. For the plot matplotlib is needed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import machine
import numpy as np
import torch
from PIL import Image
from skimage.data import camera

from napari_deep_prior import Autoencoder, DeepImagePrior, EncoderDecoder, Hourglass, Network
from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.frame import canonical
from napari_deep_prior.physics.misfit import GaussianMisfit
from napari_deep_prior.physics.operators import Identity
from napari_deep_prior.problem import Problem

NETWORKS: dict[str, Network] = {
    "hourglass\n(bilinear upsampling, narrow skips)": Hourglass(),
    "autoencoder\n(transposed convolutions)": Autoencoder(upsampling="transposed"),
    "dilated\n(no pooling, no upsampling)": EncoderDecoder(
        channels=(16, 16, 16), bottleneck=16, downsampling="none", dilation=(1, 2, 4, 8)
    ),
}

FIRST = (60, 200)
"""Row and column of the photograph at which the square begins: face and camera."""

SIGMA = 25.0
"""Standard deviation of the noise that is added to the photograph, in grey levels."""

LEFT = 0.1
"""Share of the variance that is still to be explained when something counts as fitted, in the table."""

COLOURS = 64
"""Colours of the file of the plot."""


def main() -> None:
    """Fit all targets by all networks; print a table, and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=96, help="pixels along a side")
    parser.add_argument("--steps", type=int, default=400, help="steps of each fit")
    parser.add_argument("--seeds", default="0", help="comma separated; table and plot show their mean")
    parser.add_argument("--plot", type=Path, help="PNG to be written")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    print(machine.in_words(machine.facts()))
    print(f"| network | fitted | steps until {LEFT:.0%} is left | left at the end |\n|---|---|---|---|")
    curves: dict[str, dict[str, Array]] = {}
    for network, settings in NETWORKS.items():
        curves[network] = {}
        for target, image in targets(options.size).items():
            left = np.mean([_left(image, settings, seed, options.steps) for seed in seeds], axis=0)
            curves[network][target] = left
            steps = int(np.argmax(left < LEFT)) + 1 if (left < LEFT).any() else f"> {options.steps}"
            print(f"| {network.replace(chr(10), ' ')} | {target} | {steps} | {left[-1]:.4f} |", flush=True)
    if options.plot:
        _plot(curves, options.plot)


def targets(size: int) -> dict[str, Array]:
    """Return what is fitted, all of nearly the same mean and variance."""
    generator = np.random.default_rng(0)
    image = camera()[FIRST[0] : FIRST[0] + size, FIRST[1] : FIRST[1] + size].astype(np.float64)
    return {
        "image": image,
        "image + noise": image + generator.normal(0, SIGMA, image.shape),
        "pixels in random order": generator.permutation(image.ravel()).reshape(image.shape),
        "white noise": generator.normal(image.mean(), image.std(), image.shape),
    }


def _left(image: Array, network: Network, seed: int, steps: int) -> Array:
    """Return the mean squared error of every step as a share of the variance of the image."""
    measured, weight, _frame = canonical(image, "YX", device=torch.device("cpu"))
    problem = Problem(measured=measured, weight=weight, operator=Identity(), misfit=GaussianMisfit())
    prior = DeepImagePrior(steps=steps, stop="none", jitter=0.0, seed=seed, precision="float32", network=network)
    return np.array([float(step.loss) for step in prior.fit(problem)]) / float(measured.var(correction=0))


def _plot(curves: dict[str, dict[str, Array]], file: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(curves), figsize=(10, 3.4), sharey=True, layout="constrained")
    for panel, (network, lines) in zip(axes, curves.items(), strict=True):
        for target, left in lines.items():
            panel.loglog(np.arange(1, len(left) + 1), left, label=target)
        panel.set_title(network, fontsize=9)
        panel.set_xlabel("step")
        panel.set_ylim(1e-3, 2)
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("squared error / variance")
    axes[0].legend(fontsize=8, loc="lower left")
    figure.savefig(file, dpi=100)
    Image.open(file).convert("RGB").quantize(COLOURS).save(file, optimize=True)


if __name__ == "__main__":
    main()
