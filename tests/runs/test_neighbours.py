"""Pieces of a stack are averaged with their neighbours before they are restored."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep_prior import Denoise, restore
from napari_deep_prior.arrays.metrics import psnr
from napari_deep_prior.arrays.phantom import Camera, cells

from .toys import Counting

Stacks = tuple[np.ndarray, np.ndarray]
SAME = "each slice is averaged with up to"


@pytest.fixture(scope="module")
def static() -> Stacks:
    camera, truth = Camera(), cells((64, 64))
    rng = np.random.default_rng(0)
    return np.stack([camera.expose(truth, rng) for _ in range(5)]), np.stack([camera.expected(truth)] * 5)


def mean_psnr(images: np.ndarray, truths: np.ndarray) -> float:
    return float(np.mean([psnr(image, truth) for image, truth in zip(images, truths, strict=True)]))


def flicker(images: np.ndarray) -> float:
    """Return the mean difference of frames that follow each other."""
    return float(np.abs(np.diff(images.astype(float), axis=0)).mean())


@pytest.fixture(scope="module")
def alone(static: Stacks) -> np.ndarray:
    return restore(static[0], Denoise(neighbours=0), effort="fast", axes="TYX").finish()


def test_a_static_series_gains_from_its_frames_and_flickers_less(static: Stacks, alone: np.ndarray) -> None:
    noisy, truth = static
    run = restore(noisy, Denoise(), effort="fast", axes="TYX")
    together = run.finish()
    assert mean_psnr(together, truth) > mean_psnr(alone, truth) + 2
    assert (
        np.abs(np.diff(together.astype(float), axis=0)).mean()
        < 0.5 * np.abs(np.diff(alone.astype(float), axis=0)).mean()
    )
    assert any(remark.startswith(SAME) for remark in run.record.remarks)
    assert abs(together.mean() / noisy.mean() - 1) < 0.01


def test_frames_of_other_scenes_are_left_out(static: Stacks) -> None:
    camera, rng = Camera(), np.random.default_rng(1)
    truths = np.stack([cells((64, 64), seed=seed) for seed in range(3)])
    noisy = np.stack([camera.expose(each, rng) for each in truths])
    expected = np.stack([camera.expected(each) for each in truths])
    apart, together = (
        restore(noisy, Denoise(neighbours=count), effort="fast", axes="TYX").finish() for count in (0, None)
    )
    assert mean_psnr(together, expected) > mean_psnr(apart, expected) - 0.1


def test_a_blank_frame_is_passed_through_and_harms_no_other(static: Stacks) -> None:
    noisy = static[0].copy()
    noisy[2] = noisy[2].min()
    run = restore(noisy, Denoise(), effort="fast", axes="TYX")
    image = run.finish()
    np.testing.assert_array_equal(image[2], noisy[2])
    assert mean_psnr(image[[0, 1, 3, 4]], static[1][:4]) > 30
    assert len(run.record.passed_through) == 1


def test_a_lazy_stack_is_read_frame_by_frame(static: Stacks) -> None:
    frames = Counting(static[0])
    run = restore(frames, Denoise(neighbours=1), effort="fast", axes="TYX")
    next(run)
    assert max(np.prod(static[0][index].shape) for index in frames.indices) <= 2 * 64 * 64
    run.finish()
    # For the noise, as a piece and as a neighbour.
    assert frames.count <= 4 * static[0].size


def test_no_neighbours_are_looked_at_if_there_are_to_be_none(static: Stacks) -> None:
    run = restore(static[0], Denoise(neighbours=0), effort="fast", axes="TYX")
    run.finish()
    assert not any(remark.startswith(SAME) for remark in run.record.remarks)


def test_a_bleaching_series_keeps_the_brightness_of_every_frame_and_gains_as_one_that_does_not_bleach() -> None:
    rng, scene = np.random.default_rng(0), cells((64, 64))
    light = 0.1 ** (np.arange(8) / 7)[:, None, None]
    truth = 100 + 2 * 60 * light * (scene / scene.max() + 0.05)
    noisy = (100 + 2 * rng.poisson((truth - 100) / 2) + rng.normal(0, 2, truth.shape)).astype(np.float32)
    run = restore(noisy, Denoise(), effort="fast", axes="TYX")
    image = run.finish()
    assert any(remark.startswith(SAME) for remark in run.record.remarks)
    signal = truth.mean(axis=(1, 2)) - 100
    assert (np.abs((image - noisy).mean(axis=(1, 2))) < 0.01 * signal).all()
    single = restore(noisy, Denoise(neighbours=0), effort="fast", axes="TYX").finish()
    errors, before = (((each - truth) ** 2).mean(axis=(1, 2)) for each in (image, single))
    assert (errors[1:] < 0.5 * before[1:]).all()
