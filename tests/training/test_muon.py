"""Muon beside PyTorch's own, which works in bfloat16, and beside the singular value decomposition."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_deep_prior.training.muon import Muon, orthogonalised

SHAPES = ((8, 4, 3, 3), (6, 40), (40, 6), (8, 8, 3, 3, 3))
BFLOAT16_ERROR = 0.03


def weights(seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_the_steps_are_those_of_the_library(decay: float) -> None:
    ours = weights()
    theirs = [each.flatten(1).clone() for each in ours]
    own = Muon(ours, lr=0.1, momentum=0.9, decay=decay)
    library = torch.optim.Muon(theirs, lr=0.1, weight_decay=decay, momentum=0.9, adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        for mine, other, gradient in zip(ours, theirs, weights(step + 1), strict=True):
            mine.grad, other.grad = gradient, gradient.flatten(1)
        own.step()
        library.step()
    for mine, other, start in zip(ours, theirs, weights(), strict=True):
        moved = mine.flatten(1) - start.flatten(1)
        assert (mine.flatten(1) - other).norm() < BFLOAT16_ERROR * moved.norm()


def test_singular_vectors_stay_and_singular_values_come_near_to_one() -> None:
    for matrix, found in zip(
        [each.flatten(1) for each in weights()], orthogonalised([each.flatten(1) for each in weights()]), strict=True
    ):
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        inside = left.T @ found @ right.T
        values = inside.diagonal()
        assert (inside - torch.diag(values)).norm() < 1e-3 * values.norm()
        assert 0.3 < float(values.min()) <= float(values.max()) < 1.3


def test_a_weight_without_a_gradient_and_a_gradient_of_zero_change_nothing() -> None:
    without, zero = weights()[:2]
    before = (without.clone(), zero.clone())
    zero.grad = torch.zeros_like(zero)
    Muon([without, zero], lr=0.1, momentum=0.9).step()
    assert torch.equal(without, before[0])
    assert torch.equal(zero, before[1])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_layout_in_memory_is_kept_and_does_not_matter(layout: torch.memory_format) -> None:
    plain, other = weights()[0], weights()[0].to(memory_format=layout)
    for weight in (plain, other):
        weight.grad = weights(1)[0]
        Muon([weight], lr=0.1, momentum=0.9).step()
    assert other.is_contiguous(memory_format=layout)
    torch.testing.assert_close(plain, other)
