from __future__ import annotations

import pytest
import torch

from napari_deep_prior.training.augmentation import ORIENTATIONS, crop_shape, draw_crops, oriented, oriented_back

IMAGE = torch.arange(24.0).reshape(1, 1, 4, 6)


@pytest.mark.parametrize("orientation", range(ORIENTATIONS))
def test_an_oriented_image_can_be_oriented_back(orientation: int) -> None:
    assert torch.equal(oriented_back(oriented(IMAGE, orientation), orientation), IMAGE)


def test_the_orientations_differ_and_the_first_changes_nothing() -> None:
    assert torch.equal(oriented(IMAGE, 0), IMAGE)
    assert len({oriented(IMAGE, each).numpy().tobytes() + bytes(oriented(IMAGE, each).shape) for each in range(8)}) == 8


def test_crops_of_several_images_are_of_the_same_places_and_orientations() -> None:
    image = torch.arange(20.0 * 18).reshape(1, 1, 20, 18)
    crops, doubled = draw_crops((image, 2 * image), crop=8, count=5, generator=torch.Generator().manual_seed(0))
    assert crops.shape == (5, 1, 8, 8)
    assert torch.equal(doubled, 2 * crops)
    assert len({crop.numpy().tobytes() for crop in crops}) == 5


def test_only_the_orientations_asked_for_are_drawn() -> None:
    crops, *_ = draw_crops((IMAGE,), crop=4, count=20, orientations=(0, 2), generator=torch.Generator().manual_seed(0))
    for crop in crops:
        upright = min((crop, oriented(crop, 2)), key=lambda version: float(version[0, 0, 0]))
        assert torch.equal(upright.diff(dim=-1), torch.ones(1, 4, 3))


@pytest.mark.parametrize(
    ("shape", "wanted"), [((40, 30), (16, 16)), ((40, 9), (9, 9)), ((2, 40, 30), (2, 16, 16)), ((9, 8, 8), (3, 8, 8))]
)
def test_a_crop_is_a_square_of_at_most_the_image(shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    assert crop_shape(shape, 16) == wanted
