"""What is removed from an image is noise, and nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from napari_deep_prior import Denoise, restore
from napari_deep_prior.estimation.residual_check import checked, keep_total, put_back, structure_in
from napari_deep_prior.methods import NLRidge
from napari_deep_prior.physics.misfit import GaussianMisfit
from napari_deep_prior.physics.operators import Identity
from napari_deep_prior.problem import Problem
from napari_deep_prior.runs.efforts import TABLE

from ..models import tiny_model


def white(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def problem(measured: Tensor, sigma: float = 0.05) -> Problem:
    return Problem(
        measured=measured, weight=torch.ones_like(measured), operator=Identity(), misfit=GaussianMisfit(sigma)
    )


def light(size: int, peak: float) -> NDArray[np.float64]:
    """Spots and blobs on darkness."""
    random = np.random.default_rng(size)
    places = (random.random((size, size)) > 0.99).astype(float)
    image = gaussian_filter(places, 1.2) + gaussian_filter(places, 3.0)
    return np.asarray(peak * image / image.max())


def test_in_noise_alone_there_is_no_structure() -> None:
    noise = white(2, 1, 256, 256)
    assert float(structure_in(noise).square().mean()) < 1e-3


@pytest.mark.parametrize("width", [0, 1, 3, 8])
def test_a_spot_that_was_removed_comes_back(width: float) -> None:
    spot = torch.zeros(1, 1, 96, 96)
    spot[0, 0, 48, 48] = 1
    if width:
        spot = torch.from_numpy(gaussian_filter(spot.numpy(), (0, 0, width, width)))
    # As bright as fourteen standard deviations of the noise in the spot's own area.
    spot *= 14 / float(spot.square().sum().sqrt())
    found = structure_in(spot + white(1, 1, 96, 96))
    assert float((found * spot).sum()) > 0.5 * float(spot.square().sum())


def test_structure_is_put_back_and_the_rest_stays_as_the_method_left_it() -> None:
    measured = 0.5 + 0.05 * white(1, 1, 96, 96)
    measured[..., 40, 40] += 0.45
    restored = torch.full_like(measured, 0.5)
    mended = put_back(problem(measured), restored)
    assert float(mended[0, 0, 40, 40]) > 0.85
    assert float((mended == restored).float().mean()) > 0.98


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), factor=st.floats(0.7, 1.3), shift=st.floats(-0.1, 0.1))
def test_no_light_is_lost_and_none_is_added(seed: int, factor: float, shift: float) -> None:
    measured = white(1, 2, 24, 31, seed=seed).abs()
    restored = measured.flip(-1) * factor + shift
    kept = keep_total(problem(measured), restored)
    torch.testing.assert_close(kept.mean(dim=(2, 3)), measured.mean(dim=(2, 3)), rtol=1e-4, atol=1e-5)


def test_an_almost_flat_image_is_lifted_and_not_stretched() -> None:
    restored = 0.3 + 0.001 * white(1, 1, 32, 32)
    kept = keep_total(problem(torch.full_like(restored, 0.5)), restored)
    assert float(kept.mean()) == pytest.approx(0.5, abs=1e-3)
    assert float(kept.std()) < 0.002


@pytest.mark.parametrize("method", TABLE["denoise"])
def test_an_image_without_noise_is_the_answer_itself(method: str) -> None:
    row, column = np.indices((64, 64))
    image = (((row // 4 + column // 4) % 2) * 200 + 20).astype(np.uint8)
    model = tiny_model() if method == "trained-network" else None
    run = restore(image, Denoise(), method, model=model)
    np.testing.assert_array_equal(run.finish(), image)
    assert any("the image is unchanged" in remark for remark in run.record.remarks)


def test_of_two_channels_the_one_without_noise_stays_as_it_is() -> None:
    row, column = np.indices((64, 64))
    clean = ((row // 4 + column // 4) % 2) * 200.0 + 20
    noisy = 100 + 50 * gaussian_filter(clean, 4) / 200 + np.random.default_rng(0).normal(0, 10, clean.shape)
    restored = restore(np.stack([clean, noisy]), Denoise(), "nl-ridge", axes="CYX", dtype="float32").finish()
    np.testing.assert_allclose(restored[0], clean, atol=1e-3)
    assert np.std(restored[1] - noisy) > 5


@pytest.mark.parametrize("effort", ["fast", "balanced"])
def test_a_clean_photograph_is_hardly_changed_by_the_deep_image_prior(effort: str) -> None:
    # A network that has made a few steps shows nearly nothing of the image: the check returns what it lacks.
    image = np.random.default_rng(0).normal(0, 0.5, (64, 64)) + 200 * gaussian_filter(
        np.random.default_rng(1).normal(0, 1, (64, 64)), 1.0
    )
    settings_ = dataclasses.replace(TABLE["denoise"]["deep-image-prior"][effort], steps=3)
    run = restore(image, Denoise(sigma=0.5), settings_, dtype="float32")
    error = np.mean((run.finish() - image) ** 2)
    assert 10 * np.log10(np.ptp(image) ** 2 / error) > 45


@settings(max_examples=10, deadline=None)
@given(
    exponent=st.floats(-1, 4),
    offset=st.sampled_from([0.0, 100.0]),
    size=st.integers(32, 64),
    clipped=st.booleans(),
)
def test_total_light_is_kept_at_every_exposure(exponent: float, offset: float, size: int, clipped: bool) -> None:
    random = np.random.default_rng(0)
    image = offset + random.poisson(light(size, 10**exponent)) + (0.0 if clipped else random.normal(0, 0.3))
    if np.ptp(image) == 0:
        return
    restored = restore(image, Denoise(), NLRidge(), dtype="float32").finish()
    measured = image.sum() - offset * image.size
    assert restored.sum(dtype=float) - offset * image.size == pytest.approx(measured, rel=0.02, abs=0.5)


def test_a_stopped_run_is_checked_as_well() -> None:
    image = 200 * gaussian_filter(np.random.default_rng(1).normal(0, 1, (64, 64)), 1.0)
    run = restore(image, Denoise(sigma=0.5), "deep-image-prior", dtype="float32")
    next(run)
    before = run.image
    run.close()
    np.testing.assert_array_equal(before, run.image)
    assert 10 * np.log10(np.ptp(image) ** 2 / np.mean((run.image - image) ** 2)) > 45


@pytest.mark.parametrize("offset", [0, 100])
@pytest.mark.parametrize("shape", [(33, 47), (64, 64), (61, 90)])
def test_spots_narrower_than_a_pixel_keep_their_light_in_a_type_without_a_sign(
    shape: tuple[int, int], offset: int
) -> None:
    random = np.random.default_rng(0)
    places = (random.random(shape) > 0.993) * random.uniform(0.3, 1, shape)
    spots = gaussian_filter(places, 0.6)
    photons = random.poisson(1000 * spots / spots.max())
    image = (photons + offset).astype(np.uint16)
    restored = restore(image, Denoise(), effort="fast", device="cpu").finish()
    assert (restored.astype(float) - offset).sum() == pytest.approx(photons.sum(), rel=0.02)


def test_lone_pixels_that_noise_has_made_do_not_come_back() -> None:
    """Detectors that multiply single photons have them; a spot is spread over several pixels, at least a little."""
    strength, places = 7.0, slice(8, 90, 9)
    lone, spots = torch.zeros(1, 1, 96, 96), torch.zeros(1, 1, 96, 96)
    lone[0, 0, places, places] = strength
    spots[0, 0, 12:90:9, 12:90:9] = 1
    spots = torch.from_numpy(gaussian_filter(spots.numpy(), (0, 0, 0.7, 0.7)))
    spots *= strength / float(spots.max())
    measured = 0.05 * (lone + spots + white(1, 1, 96, 96))
    whole, _ = checked(problem(measured), torch.zeros_like(measured))
    back = whole / (0.05 * strength)
    assert float(back[lone > 0].mean()) < 0.05
    assert float(back[spots == spots.max()].mean()) > 0.6


def test_a_lone_pixel_that_is_clearly_there_comes_back() -> None:
    measured = 0.05 * white(1, 1, 96, 96)
    measured[0, 0, 40, 50] = 1.0
    whole, _ = checked(problem(measured), torch.zeros_like(measured))
    assert float(whole[0, 0, 40, 50]) > 0.7
