"""Which method for which noise, which holes and which volume: what ``auto`` takes, beside what it could have taken.

    python benchmarks/choosing.py [--parts noise,holes,volume] [--side 96]

Generated images, and scikit-image's cameraman. PSNR in dB; of holes, inside of them. One seed. The choice of ``auto``
(effort "balanced") is marked by a star; where it is not the best one, that is what the table is for.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from pairs import CORRELATED, generated
from skimage.data import camera
from ways import without_model

from napari_deep_prior import Denoise, Inpaint, Task, restore
from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.runs.efforts import methods_of

LIGHT = (0.2, 1.0, 5.0)
"""Photons, as a multiple of the phantom's."""

SIDES = (2, 6, 12, 24, 40)
"""Pixels along a side of a hole."""

DETECTOR = Camera()


@dataclasses.dataclass(frozen=True)
class Case:
    """Something to restore, its truth, and where they are compared."""

    name: str
    task: Task
    image: np.ndarray
    truth: np.ndarray
    options: dict[str, Any]
    where: Any = ...
    """Index of the pixels that are compared."""


def main() -> None:
    """Print a row for every case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="noise,holes,volume", help="comma separated")
    parser.add_argument("--side", type=int, default=96, help="pixels along a side of the images")
    options = parser.parse_args()
    parts = {"noise": _noise, "holes": _holes, "volume": _volume}
    for part in options.parts.split(","):
        for case in parts[part](options.side):
            _measure(case)


def _measure(case: Case) -> None:
    chosen = restore(case.image, case.task, **case.options)
    cells_of_row = [f"{case.name:32} input {_psnr(case.image, case):6.2f}"]
    for method, efforts in without_model(methods_of(case.task)).items():
        began = time.perf_counter()
        run = restore(case.image, case.task, efforts["balanced"], **case.options)
        ratio = _psnr(run.finish(), case)
        star = "*" if type(run.record.method) is type(chosen.record.method) else " "
        stood_in = "" if isinstance(run.record.method, type(efforts["balanced"])) else " (deep image prior)"
        cells_of_row.append(f"{method}{stood_in} {ratio:6.2f}{star} {time.perf_counter() - began:5.0f} s")
    print("   ".join(cells_of_row), flush=True)


def _psnr(image: np.ndarray, case: Case) -> float:
    return metrics.psnr(image[case.where], case.truth[case.where], span=metrics.data_range(case.truth))


def _noise(side: int) -> Iterator[Case]:
    for light in LIGHT:
        photons = light * cells((side, side))
        noisy = DETECTOR.expose(photons, np.random.default_rng(0))
        yield Case(f"noise, light × {light:g}", Denoise(), noisy, DETECTOR.expected(photons), {})
    # Correlation is believed from 200 × 200 pixels on.
    correlated, truth = generated(CORRELATED, 208)
    yield Case("noise, correlated (sigma 0.7)", Denoise(), correlated, truth, {})


def _holes(side: int) -> Iterator[Case]:
    truth = camera()[100 : 100 + side, 140 : 140 + side]
    for hole in SIDES:
        mask = np.zeros(truth.shape, bool)
        for row in range(hole, side - hole, 3 * hole):
            for column in range(hole, side - hole, 3 * hole):
                mask[row : row + hole, column : column + hole] = True
        damaged = np.where(mask, 0, truth).astype(np.uint8)
        yield Case(f"holes of {hole} × {hole}", Inpaint(), damaged, truth, {"mask": mask}, mask)
    mask = np.random.default_rng(0).random(truth.shape) < 0.5
    damaged = np.where(mask, 0, truth).astype(np.uint8)
    yield Case("half of the pixels missing", Inpaint(), damaged, truth, {"mask": mask}, mask)


def _volume(side: int) -> Iterator[Case]:
    photons = cells((12, side // 2, side // 2))
    noisy = DETECTOR.expose(photons, np.random.default_rng(0))
    yield Case("volume", Denoise(), noisy, DETECTOR.expected(photons), {"axes": "ZYX", "volume": True})


if __name__ == "__main__":
    main()
