"""Pairs of a noisy image and its truth: those of a folder, and generated ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.files import images

DEFAULT_DATA = Path(__file__).parents[2] / "shared" / "data" / "dev"
ENDINGS = ("_noisy", "_sigma25", "_rep1")
"""Endings of the names of noisy images; their truth has the same name and the ending "_gt"."""

CORRELATED = "generated cells, correlated noise"
GENERATED = ("generated cells", "generated dim cells", CORRELATED)
SIDE = 256
"""Pixels along a side of a generated image; below 200 the correlation of the noise is not estimated."""

BLUR, SIGMA = 0.7, 25.0
"""Of the correlated noise: standard deviation of its blur, in pixels, and its own, in grey levels."""


def names(data: Path) -> list[str]:
    """Return the names of the pairs in a folder that has a folder ``denoise/``."""
    folder = data / "denoise"
    found = [file.name for file in sorted(folder.glob("*")) if file.stem.endswith(ENDINGS)] if folder.is_dir() else []
    return [name for name in found if _truth_of(folder / name)]


def load(data: Path, name: str, *, side: int = SIDE) -> tuple[Array, Array]:
    """Return a noisy image and its truth; ``side`` is that of a generated one."""
    if name in GENERATED:
        return generated(name, side)
    noisy = data / "denoise" / name
    truth = _truth_of(noisy)
    assert truth is not None
    return images.read(noisy).pixels, images.read(truth).pixels


def matched(name: str, image: Array, truth: Array) -> tuple[Array, str]:
    """Return an image with the gain and offset that bring it closest to its truth, where that is needed, and a note."""
    if not name.startswith("w2s"):
        return image, ""
    # Each image of these pairs was stretched on its own.
    slope, shift = np.polyfit(image.astype(float).ravel(), truth.astype(float).ravel(), 1)
    return slope * image + shift, " (affine match)"


def _truth_of(noisy: Path) -> Path | None:
    stem = next(noisy.stem.removesuffix(ending) for ending in ENDINGS if noisy.stem.endswith(ending))
    return next(iter(sorted(noisy.parent.glob(f"{stem}_gt.*"))), None)


def generated(name: str, side: int) -> tuple[Array, Array]:
    """Return one of the generated pairs."""
    camera, random = Camera(), np.random.default_rng(0)
    photons = cells((side, side)) * (0.2 if "dim" in name else 1.0)
    truth = camera.expected(photons)
    if name != CORRELATED:
        return camera.expose(photons, random), truth
    noise = gaussian_filter(random.normal(size=truth.shape), BLUR)
    return (truth + SIGMA * noise / noise.std()).astype(np.float32), truth
