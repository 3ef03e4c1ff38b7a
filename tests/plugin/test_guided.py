from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_deep_prior.files.images import RECORD
from napari_deep_prior.plugin.layers import Part
from napari_deep_prior.plugin.resampled import guide_of

SIDE = 40


@pytest.fixture
def pair(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A noisy picture of a square, and a clean one of the same edges in other brightness."""
    truth = np.full((SIDE, SIDE), 20.0)
    truth[10:28, 12:30] = 60
    return rng.poisson(truth).astype(np.uint16), 1000 - 3 * truth + rng.normal(0, 1, truth.shape)


def test_a_person_chooses_a_guide_and_is_told_what_it_was_worth(viewer, open_task, press_run, told, pair):
    guide = viewer.add_image(pair[1], name="bright field", scale=(0.5, 0.5))
    target = viewer.add_image(pair[0], name="dim", scale=(0.5, 0.5))
    dock = open_task("Guided reconstruction")
    assert dock.image_input.image.value.name == "dim"
    assert "nothing is chosen under 'guides'" in told(dock).lower()
    dock.inputs["guide"].layers.value = [target]
    assert "cannot guide itself" in told(dock)
    dock.inputs["guide"].layers.value = [guide]
    result = press_run(dock)
    assert "the guide" in dock.outcome.status.text().lower()
    assert result.name == "dim guided"
    assert result.data.shape == (SIDE, SIDE)
    assert result.data.dtype == np.uint16
    np.testing.assert_array_equal(result.scale, [0.5, 0.5])
    assert "the guide" in result.metadata[RECORD]["remarks"][0]


def test_guides_stay_chosen_when_layers_come_and_go(viewer, open_task, pair):
    guide = viewer.add_image(pair[1], name="bright field")
    viewer.add_image(pair[0], name="dim")
    guides = open_task("Denoise").inputs["guide"].layers
    guides.value = [guide]
    other = viewer.add_image(pair[1], name="other")
    assert [layer.name for layer in guides.value] == ["bright field"]
    viewer.layers.remove(other)
    viewer.layers.remove("bright field")
    assert list(guides.value) == []


def part_of(layer: Image, offset: tuple[int, ...] = (0, 0)) -> Part:
    return Part(layer, layer.data, "TZYX"[-layer.ndim :], offset)


def test_a_guide_of_another_scale_and_place_is_brought_onto_the_image() -> None:
    rows = np.arange(24.0)[:, None] + np.zeros(30)
    layer = Image(np.zeros((12, 15)), scale=(2, 2), translate=(0.5, 0.5))
    np.testing.assert_allclose(guide_of(Image(rows), part_of(layer), {}, (12, 15))[3, 5], 6.5)
    # On the pixels of a result that is twice as large.
    fine = guide_of(Image(rows), part_of(layer), {"Y": 2.0, "X": 2.0}, (24, 30))
    np.testing.assert_allclose(fine, rows)


def test_a_plane_guides_every_slice_and_colours_come_last() -> None:
    stack = Image(np.zeros((3, 8, 9)))
    assert guide_of(Image(np.eye(8, 9)), part_of(stack, (1, 0, 0)), {}, (1, 8, 9)).shape == (8, 9)
    colours = Image(np.random.default_rng(0).random((8, 9, 4)), rgb=True)
    assert guide_of(colours, part_of(Image(np.zeros((8, 9)))), {}, (8, 9)).shape == (8, 9, 3)


def test_the_slice_of_a_stack_gets_the_slice_of_its_guide() -> None:
    planes = np.random.default_rng(0).random((3, 8, 9))
    layer = Image(np.zeros((3, 8, 9)))
    np.testing.assert_allclose(guide_of(Image(planes), part_of(layer, (2, 0, 0)), {}, (1, 8, 9)), planes[2:], rtol=1e-6)


def test_what_the_guide_does_not_cover_is_missing() -> None:
    layer = Image(np.zeros((8, 9)))
    guide = guide_of(Image(np.eye(8, 9), translate=(4, 0)), part_of(layer), {}, (8, 9))
    assert np.isnan(guide[:3]).all()
    assert np.isfinite(guide[4:]).all()


@pytest.mark.parametrize(
    ("guide", "axes", "message"),
    [
        (Image(np.eye(8), translate=(100, 0), name="far"), "YX", r"guide 'far' does not overlap the image"),
        (Image(np.zeros((2, 8, 9)), name="deep"), "YX", r"guide 'deep' has 3 axes, the image '.*' only 2"),
        (Image(np.eye(8)), "CX", r"an image with an axis of channels cannot be guided"),
    ],
)
def test_guides_that_cannot_be_brought_onto_the_image_are_refused(guide: Image, axes: str, message: str) -> None:
    layer = Image(np.zeros((8, 9)))
    with pytest.raises(ValueError, match=message):
        guide_of(guide, Part(layer, layer.data, axes, (0, 0)), {}, (8, 9))
