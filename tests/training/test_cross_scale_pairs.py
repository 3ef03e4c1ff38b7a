from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data

from napari_deep_prior.physics.kernels import Bicubic, SampledKernel
from napari_deep_prior.physics.operators import Downsample
from napari_deep_prior.training.augmentation import oriented
from napari_deep_prior.training.cross_scale_pairs import TrainingPairs, first_orientations

OPERATOR = Downsample((2.0, 2.0), Bicubic())
ALL = tuple(range(8))


def camera(side: int) -> torch.Tensor:
    """Return a part of a photograph, canonical."""
    return torch.from_numpy(data.camera()[100 : 100 + side, 170 : 170 + side].astype(np.float32) / 255)[None, None]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_input_is_interpolated_from_the_reduced_target() -> None:
    target = camera(64)
    pairs = TrainingPairs(OPERATOR, ALL)
    pairs.add(target, torch.ones_like(target), frequency=1.0)
    pair = pairs.draw(crop=64, count=1, generator=generator())
    found = [each for each in ALL if torch.equal(oriented(target, each), pair.target)]
    assert found
    torch.testing.assert_close(pair.input, oriented(OPERATOR.interpolate(OPERATOR(target)), found[0]))


def test_targets_are_oriented_before_a_kernel_with_a_direction_reduces_them() -> None:
    blur = np.zeros((5, 5))
    blur[2, 2:] = 3, 2, 1
    operator = Downsample((2.0, 2.0), SampledKernel(blur))
    pairs = TrainingPairs(operator, (0,))
    pairs.add(camera(32), torch.ones(1, 1, 32, 32), frequency=1.0)
    assert len(pairs.kept[0]) == 8
    for pair in pairs.kept[0]:
        torch.testing.assert_close(pair.input, operator.interpolate(operator(pair.target)))


@pytest.mark.parametrize("orientations", [(0,), (0, 2), (0, 2, 4, 6), (0, 2, 5, 7), ALL])
def test_every_orientation_occurs_once(orientations: tuple[int, ...]) -> None:
    image = camera(8)
    first = [oriented(image, each) for each in first_orientations(orientations)]
    found = {oriented(start, then).numpy().tobytes() for start in first for then in orientations}
    assert len(found) == 8 == len(first) * len(orientations)


def test_a_step_takes_as_many_pixels_from_a_large_image_as_from_a_small_one() -> None:
    for side in (64, 256):
        image = camera(side)
        pairs = TrainingPairs(OPERATOR, ALL)
        pairs.add_image(image, torch.ones_like(image))
        assert pairs.draw(crop=32, count=2, generator=generator()).input.shape == (2, 1, 32, 32)


def test_missing_pixels_have_almost_no_weight() -> None:
    image, weight = camera(32), torch.ones(1, 1, 32, 32)
    weight[..., 5:9, 7:12] = 0
    pairs = TrainingPairs(OPERATOR, ALL)
    pairs.add(image, weight, frequency=1.0)
    drawn = pairs.draw(crop=32, count=1, generator=generator()).weight
    assert int((drawn < 1e-3).sum()) == 20
    assert (drawn > 0).all()


def test_an_enlarged_estimate_adds_targets_of_sizes_between() -> None:
    pairs = TrainingPairs(OPERATOR, ALL)
    pairs.add_estimate(camera(64))
    sides = [versions[0].target.shape[-1] for versions in pairs.kept]
    assert all(32 < side < 64 for side in sides)
    assert sides == sorted(sides)
