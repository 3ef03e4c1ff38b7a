"""What networks draw on the way: generated cells, denoised, after a few numbers of steps.

    python benchmarks/prior_images.py docs/images/networks.png [--size 96] [--steps 20,60,150,400] [--seed 0]

Each row is a network of ``priors.py``, each column the running average of its outputs after so many steps, with its
PSNR. For the plot matplotlib is needed.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from matplotlib import pyplot
from pairs import DEFAULT_DATA
from PIL import Image
from prior_scenes import Scene
from priors import NETWORKS

from napari_deep_prior import DeepImagePrior
from napari_deep_prior.arrays.axes import Array

ROWS = {
    "hourglass": "hourglass",
    "… transposed": "encoder-decoder,\ntransposed",
    "… dilated, no pooling": "encoder-decoder,\ndilated",
    "fcn-8s": "fcn-8s",
}
"""Networks of ``priors.py``, and what is written beside their row."""

GAMMA = 0.7
"""Exponent of what is shown, so that dim parts and their noise can be made out."""

GREYS = 64
"""Grey levels of the file."""


def main() -> None:
    """Fit the networks and write the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plot", type=Path, help="PNG to be written")
    parser.add_argument("--size", type=int, default=96, help="pixels along a side")
    parser.add_argument("--steps", default="20,60,150,400", help="comma separated, in ascending order")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    steps = [int(step) for step in options.steps.split(",")]
    scene = Scene(DEFAULT_DATA, "cells", "denoise", options.size)
    columns = len(steps) + 1
    figure, axes = pyplot.subplots(len(ROWS), columns, figsize=(1.6 * columns, 1.72 * len(ROWS)), layout="constrained")
    for panel in axes.flat:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    _show(axes[0, 0], scene, scene.measured, "measured")
    _show(axes[1, 0], scene, scene.truth, "truth")
    for panels, (name, words) in zip(axes[:, 1:], ROWS.items(), strict=True):
        found = averages(scene, name, options.seed, steps)
        panels[0].set_ylabel(words, fontsize=8)
        for panel, step, image in zip(panels, steps, found, strict=True):
            _show(panel, scene, image, f"{step} steps, {scene.psnr_of(image):.1f} dB")
    figure.savefig(options.plot, dpi=100)
    Image.open(options.plot).convert("L").quantize(GREYS).save(options.plot, optimize=True)


def averages(scene: Scene, network: str, seed: int, steps: list[int]) -> list[Array]:
    """Return the running averages of a fit after so many steps, in grey levels."""
    prior = DeepImagePrior(network=NETWORKS[network], seed=seed, precision="float32")
    prior = dataclasses.replace(prior, steps=steps[-1], patience=steps[-1])
    watched = scene.watched()
    return [
        scene.frame.to_image(watched.average)
        for number, _step in enumerate(prior.fit(watched.problem), start=1)
        if number in steps
    ]


def _show(panel: pyplot.Axes, scene: Scene, image: Array, title: str) -> None:
    low, high = float(scene.truth.min()), float(scene.truth.max())
    panel.imshow(np.clip((image - low) / (high - low), 0, 1) ** GAMMA, cmap="gray", vmin=0, vmax=1)
    panel.set_title(title, fontsize=7)


if __name__ == "__main__":
    main()
