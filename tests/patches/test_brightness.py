"""Frames of another brightness are made as bright as the frame that they are averaged with."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_deep_prior.arrays.phantom import cells
from napari_deep_prior.patches.brightness import Brightness, Shown, brightness_of
from napari_deep_prior.patches.neighbours import AVERAGED, NoisyFrame, averaged, pilot_of
from napari_deep_prior.physics.misfit import GaussianMisfit


@pytest.fixture(scope="module")
def scene() -> Tensor:
    image = torch.from_numpy(cells((64, 72))).float()[None, None]
    return image * (10 / image.max())


def found(theirs: Tensor, ours: Tensor, *, seen: Tensor | None = None) -> Brightness:
    def similar(estimate: Tensor) -> Tensor:
        return 1 / (1 + 8 * (estimate - ours).square())

    brightness, _ = brightness_of(
        Shown(theirs, theirs), Shown(ours, ours), similar, torch.ones_like(ours) if seen is None else seen
    )
    return brightness


@pytest.mark.parametrize(("gain", "shift"), [(0.5, 0.0), (1.3, 2.0), (4.0, -1.0)])
def test_gain_and_shift_of_a_whole_frame_are_found(scene: Tensor, gain: float, shift: float) -> None:
    brightness = found(scene, gain * scene + shift)
    assert float(brightness.gain) == pytest.approx(gain, rel=1e-3)
    assert float(brightness.shift) == pytest.approx(shift, abs=1e-2)


def test_what_has_appeared_does_not_count_as_brightness(scene: Tensor) -> None:
    other = scene.clone()
    other[..., 20:40, 20:40] += 8.0
    brightness = found(other, scene)
    assert float(brightness.gain) == pytest.approx(1, abs=0.03)
    assert float(brightness.shift) == pytest.approx(0, abs=0.1)


def test_a_frame_of_which_nothing_is_seen_stays_as_it_is(scene: Tensor) -> None:
    brightness = found(3 * scene, scene, seen=torch.zeros_like(scene))
    assert (float(brightness.gain), float(brightness.shift)) == (1.0, 0.0)


def test_a_frame_that_shows_something_else_stays_as_it_is(scene: Tensor) -> None:
    dark = torch.zeros_like(scene)
    dark[..., ::16, ::16] = 0.01
    brightness = found(1e4 * scene, dark)
    assert (float(brightness.gain), float(brightness.shift)) == (1.0, 0.0)


def test_each_channel_has_a_brightness_of_its_own(scene: Tensor) -> None:
    both = torch.cat([scene, scene.flip(-1)], dim=1)
    factors = torch.tensor([0.6, 1.0]).reshape(1, 2, 1, 1)
    torch.testing.assert_close(found(both, factors * both).gain, factors, rtol=0.01, atol=0)


def test_the_noise_of_a_frame_that_was_made_brighter_counts(scene: Tensor) -> None:
    misfit = GaussianMisfit()
    frames = []
    for seed, gain in enumerate((1.0, 0.5, 0.5)):
        values = gain * scene + torch.randn(scene.shape, generator=torch.Generator().manual_seed(seed))
        frames.append(NoisyFrame(values, torch.ones_like(values), pilot_of(values, torch.ones_like(values), misfit)))
    average = averaged(frames[0], frames[1:], misfit, AVERAGED)
    error = average.values - scene
    assert float(error.square().mean()) == pytest.approx(float(average.variance_share.mean()), rel=0.1)
    assert float(error.square().mean()) < 0.9
    assert abs(float(error.mean())) < 0.05
