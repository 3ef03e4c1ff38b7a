"""What is missing of a patch follows from what is known of it."""

from __future__ import annotations

import numpy as np
import torch
from skimage.restoration import inpaint_biharmonic
from torch import Tensor

from napari_deep_prior.patches.filling import fill

SIDE = 72
SEARCH = {"group_size": 60, "search_radius": 8}


def ridges() -> Tensor:
    """Return curved ridges of a period of 6 pixels between 0 and 1, like those of a fingerprint."""
    row, column = np.mgrid[:SIDE, :SIDE]
    wave = np.sin(2 * np.pi * np.hypot(row + 20, column - 90) / 6)
    return torch.from_numpy(0.5 + 0.4 * np.tanh(2 * wave)).float()


def error(image: Tensor, truth: Tensor, where: Tensor) -> float:
    """Return the mean squared error."""
    return float((image - truth)[where].square().mean())


def test_ridges_are_filled_better_than_smoothly(rng: np.random.Generator) -> None:
    truth, known = ridges(), torch.from_numpy(rng.random((SIDE, SIDE)) < 0.5)
    smooth = torch.from_numpy(inpaint_biharmonic(truth.numpy() * known.numpy(), ~known.numpy())).float()
    image = smooth
    for variance in (1e-3, 1e-4, 1e-5):
        image = fill(image, known.float(), torch.full_like(truth, variance), **SEARCH)
        image = torch.where(known, truth, image)
    assert error(image, truth, ~known) < 0.25 * error(smooth, truth, ~known)


def test_pixels_far_from_all_missing_ones_do_not_change(rng: np.random.Generator) -> None:
    image, known = torch.from_numpy(rng.random((SIDE, SIDE))).float(), torch.ones(SIDE, SIDE)
    known[30:33, 30:33] = 0
    filled = fill(image, known, torch.full_like(image, 1e-2), **SEARCH)
    assert torch.equal(filled[:20], image[:20])
    assert torch.equal(fill(image, torch.ones_like(known), torch.full_like(image, 1e-2), **SEARCH), image)


def test_a_flat_plane_stays_flat() -> None:
    flat, known = torch.full((SIDE, SIDE), 0.3), torch.ones(SIDE, SIDE)
    known[::2] = 0
    torch.testing.assert_close(fill(flat, known, torch.zeros_like(flat), **SEARCH), flat)
