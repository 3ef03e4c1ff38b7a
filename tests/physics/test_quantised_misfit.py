from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import torch
from scipy.ndimage import gaussian_filter

from napari_deep_prior.arrays.frame import canonical
from napari_deep_prior.files.jpeg import read_tables
from napari_deep_prior.physics.jpeg import JpegTables, Table, tables_of_quality
from napari_deep_prior.physics.quantised_misfit import QuantisedMisfit

from .jpegs import ROUNDING, SKEW, SUBSAMPLINGS, decoded, photograph, reference, saved

CPU = torch.device("cpu")


def misfit_of(
    measured: np.ndarray, tables: JpegTables, centre_weight: float = 0.0, unit: str = "steps"
) -> tuple[QuantisedMisfit, torch.Tensor, Callable[[np.ndarray], torch.Tensor]]:
    """Return the misfit to a decoded image, the image as a tensor, and the conversion of other images to tensors."""
    tensor, _, frame = canonical(measured, "YXS"[: measured.ndim], device=CPU)
    factor, shift = (part.reshape(-1, 1, 1) for part in frame.units)

    def to_tensor(image: np.ndarray) -> torch.Tensor:
        channels = np.moveaxis(np.atleast_3d(image.astype(np.float64)), 2, 0)
        return torch.from_numpy((channels - shift) / factor)[None].float()

    return QuantisedMisfit(tables, frame.units, tensor, centre_weight=centre_weight, unit=unit), tensor, to_tensor


def rounding_excess(table: Table, unit: str) -> float:
    """Return an upper bound of the mean squared excess that rounding to grey levels causes.

    A position in an interval is at most evenly distributed at its ends; moved by a normal error of s steps it is
    outside by E|e|³ / 3 = 0.53 s³ in the mean square. The errors of pixels that are rounded in the same
    direction add up in the mean of a block.
    """
    error = np.full((8, 8), ROUNDING)
    error[0, 0] *= 8
    steps = np.array(table)
    return float(np.mean(0.53 * (error / steps) ** 3 * (1 if unit == "steps" else steps**2)))


@pytest.mark.parametrize("number", [None, 0, 2])
@pytest.mark.parametrize("quality", [10, 20, 40])
@pytest.mark.parametrize("shape", [(96, 112), (91, 107)])
@pytest.mark.parametrize("unit", ["grey levels", "steps"])
def test_the_original_is_within_the_intervals_of_its_jpeg_and_others_are_not(
    tmp_path: Path, unit: str, shape: tuple[int, int], quality: int, number: int | None
) -> None:
    original = photograph(number is not None, shape)
    options = {} if number is None else {"subsampling": number}
    file = saved(tmp_path / "a.jpg", original, quality=quality, **options)
    tables = read_tables(file)
    misfit, measured, to_tensor = misfit_of(decoded(file), tables, unit=unit)
    blurred = gaussian_filter(original.astype(np.float64), (1.0, 1.0, 0.0)[: original.ndim])
    excess, *others = (
        misfit.pointwise(to_tensor(image), measured) for image in (original, blurred, np.roll(original, 1, axis=1))
    )
    small = rounding_excess(tables.luminance, unit)
    assert float(excess[:, 0].mean()) < small
    if tables.chrominance is not None:
        assert float(excess[:, 1:].mean(dim=(0, 2, 3)).max()) < rounding_excess(tables.chrominance, unit)
    for other in others:
        assert float(other.mean()) > 10 * small
        assert float(other.mean()) > 30 * float(excess.mean())


@pytest.mark.parametrize("colour", [False, True])
def test_the_decoded_image_itself_costs_nothing(tmp_path: Path, colour: bool) -> None:
    file = saved(tmp_path / "a.jpg", photograph(colour), quality=20)
    misfit, measured, _ = misfit_of(decoded(file), read_tables(file), centre_weight=0.05)
    assert float(misfit.pointwise(measured, measured).abs().max()) == 0


@pytest.mark.parametrize("shape", [(16, 32), (17, 43), (5, 6), (1, 2)])
@pytest.mark.parametrize("subsampling", [None, (1, 1), (2, 2), (1, 2), (4, 1)])
@pytest.mark.parametrize(("centre_weight", "unit"), [(0.0, "steps"), (0.3, "steps"), (0.3, "grey levels")])
def test_every_coefficient_counts_once_or_for_the_pixels_that_share_it(
    shape: tuple[int, int],
    subsampling: tuple[int, int] | None,
    centre_weight: float,
    unit: str,
    rng: np.random.Generator,
) -> None:
    tables = tables_of_quality(60, colour=subsampling is not None, subsampling=subsampling or (1, 1))
    image = photograph(subsampling is not None, shape)
    other = image + rng.normal(0, 20, image.shape)
    misfit, measured, to_tensor = misfit_of(image, tables, centre_weight, unit)
    found = misfit.pointwise(to_tensor(other), measured)
    assert found.shape == measured.shape
    away = [np.abs(steps) for steps in reference(other - image, tables)]
    costs = [np.maximum(steps - 0.5, 0) ** 2 + centre_weight * steps**2 for steps in away]
    if unit == "grey levels":
        shared = subsampling[0] * subsampling[1] if subsampling else 1
        tables_of_channels = [tables.luminance, tables.chrominance, tables.chrominance][: len(costs)]
        costs = [
            cost * np.array(table)[:, None] ** 2 * (shared if channel else 1)
            for channel, (cost, table) in enumerate(zip(costs, tables_of_channels, strict=True))
        ]
    sums = found.double().sum(dim=(0, 2, 3)).numpy()
    np.testing.assert_allclose(sums, [cost.sum() for cost in costs], rtol=1e-4)
    if shape == (16, 32):
        np.testing.assert_allclose(found[0, 0], costs[0].reshape(shape), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 13), (15, 23), (8, 1)])
def test_the_error_of_one_coefficient_is_placed_on_one_pixel(row: int, column: int) -> None:
    measured = photograph(colour=False, shape=(16, 24))
    step = SKEW[row % 8][column % 8]
    coefficients = np.zeros((2, 8, 3, 8))
    coefficients[row // 8, row % 8, column // 8, column % 8] = 2 * step
    change = scipy.fft.idctn(coefficients, axes=(1, 3), norm="ortho").reshape(16, 24)
    misfit, tensor, to_tensor = misfit_of(measured, JpegTables(SKEW), centre_weight=0.1)
    found = misfit.pointwise(to_tensor(measured + change), tensor)[0, 0]
    expected = torch.zeros(16, 24)
    expected[row, column] = 1.5**2 + 0.1 * 2**2
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("colour", "shape"), [(False, (24, 16)), (True, (21, 35))])
def test_gradients_are_the_slope_of_the_misfit_and_lead_back_into_the_intervals(
    colour: bool, shape: tuple[int, int], rng: np.random.Generator
) -> None:
    image = photograph(colour, shape)
    misfit, measured, to_tensor = misfit_of(image, tables_of_quality(50, colour=colour))
    predicted = to_tensor(image + rng.normal(0, 40, image.shape)).requires_grad_()
    cost = misfit.pointwise(predicted, measured).sum()
    (gradient,) = torch.autograd.grad(cost, predicted)
    step = 1e-3 * gradient / gradient.norm()
    with torch.no_grad():
        ends = [float(misfit.pointwise(predicted + sign * step, measured).double().sum()) for sign in (-1, 1)]
    assert ends[1] - ends[0] == pytest.approx(2 * float((gradient * step).sum()), rel=0.02)
    optimizer = torch.optim.Adam([predicted], lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        now = misfit.pointwise(predicted, measured).sum()
        now.backward()
        optimizer.step()
    assert float(now.detach()) < 1e-3 * float(cost.detach())


def test_within_the_intervals_only_the_centre_weight_has_a_gradient(rng: np.random.Generator) -> None:
    image = photograph(colour=True)
    tables = tables_of_quality(10, colour=True)
    for centre_weight in (0.0, 0.05):
        misfit, measured, to_tensor = misfit_of(image, tables, centre_weight)
        predicted = to_tensor(image + rng.normal(0, 0.5, image.shape)).requires_grad_()
        misfit.pointwise(predicted, measured).sum().backward()
        assert bool(predicted.grad.any()) == (centre_weight > 0)


def test_the_misfit_does_not_depend_on_the_range_of_the_image() -> None:
    image = photograph(colour=False)
    wider = image.copy()
    wider[-1, -8:] = 255
    tables = tables_of_quality(30, colour=False)
    costs = []
    for measured in (image, wider):
        misfit, tensor, to_tensor = misfit_of(measured, tables)
        costs.append(misfit.pointwise(to_tensor(np.roll(measured, 1, axis=1)), tensor)[..., :80, 8:80])
    assert float(costs[0].sum()) > 0
    torch.testing.assert_close(costs[0], costs[1], atol=1e-3, rtol=1e-3)


def test_values_are_stabilised_to_grey_levels_and_back() -> None:
    misfit, measured, to_tensor = misfit_of(photograph(colour=True), tables_of_quality(30, colour=True))
    brighter = to_tensor(photograph(colour=True).astype(np.float64) + 1)
    torch.testing.assert_close(
        misfit.stabilise(brighter) - misfit.expected(measured), misfit.stabilised_variance(measured), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(misfit.unstabilise(misfit.expected(measured)), measured)


# Projection and recompression


@pytest.mark.parametrize("width", [0.5, 0.2])
@pytest.mark.parametrize("colour", [False, True])
def test_the_nearest_image_is_within_the_intervals_and_no_other_is_nearer(
    colour: bool, width: float, rng: np.random.Generator
) -> None:
    image = photograph(colour)
    tables = tables_of_quality(10, colour=colour, subsampling=(1, 1))
    misfit, measured, to_tensor = misfit_of(image, tables)
    other = to_tensor(image + rng.normal(0, 25, image.shape))
    nearest = misfit.nearest(other, measured, width=width)
    steps = misfit.cosine((nearest - measured) * misfit.factor)
    assert max(float(part.abs().max()) for part in steps) == pytest.approx(width, abs=1e-3)
    torch.testing.assert_close(misfit.nearest(nearest, measured, width=width), nearest, atol=1e-4, rtol=0)
    # What was within stays as it was: only coefficients that were outside are moved.
    moved = misfit.cosine((nearest - other) * misfit.factor)
    for before, change in zip(misfit.cosine((other - measured) * misfit.factor), moved, strict=True):
        assert float(change[before.abs() < width].abs().max()) < 1e-3
    assert float((nearest - other).norm()) < float((measured - other).norm())


@pytest.mark.parametrize("shape", [(96, 112), (91, 107)])
@pytest.mark.parametrize("number", [None, 0, 1, 2])
def test_a_recompressed_image_is_that_of_pillow(tmp_path: Path, number: int | None, shape: tuple[int, int]) -> None:
    image = photograph(number is not None, shape)
    options = {} if number is None else {"subsampling": number}
    expected = decoded(saved(tmp_path / "a.jpg", image, quality=30, **options)).astype(float)
    tables = tables_of_quality(30, colour=number is not None, subsampling=SUBSAMPLINGS[number or 0])
    misfit, _, to_tensor = misfit_of(image, tables)
    difference = (misfit.recompressed(to_tensor(image)) - to_tensor(expected)) * misfit.factor
    # Pillow smooths chrominances that are shared; what it rounds on its way puts a few coefficients one step further.
    most = 0.3 if number in (None, 0) else 0.6
    assert float(difference.square().mean().sqrt()) < most * np.sqrt(np.mean((expected - image) ** 2))


@pytest.mark.parametrize("colour", [False, True])
def test_blocks_can_begin_before_the_image(colour: bool) -> None:
    image = photograph(colour, (48, 64))
    misfit, measured, _ = misfit_of(image, tables_of_quality(20, colour=colour))
    shifted = misfit.recompressed(measured, offset=(5, 3))
    inside = misfit.recompressed(measured[..., misfit.period[0] - 5 :, misfit.period[1] - 3 :])
    torch.testing.assert_close(
        shifted[..., misfit.period[0] - 5 : 32, misfit.period[1] - 3 : 48],
        inside[..., : 32 - misfit.period[0] + 5, : 48 - misfit.period[1] + 3],
    )
    assert float((shifted - misfit.recompressed(measured)).abs().mean()) > 1e-3


def test_images_that_are_no_decoded_jpeg_are_refused_with_a_sentence() -> None:
    grey, colour = tables_of_quality(30, colour=False), tables_of_quality(30, colour=True)
    units = (np.array([200.0]), np.array([10.0]))
    with pytest.raises(ValueError, match="3 spatial axes; JPEG compresses planes: restore it plane by plane"):
        QuantisedMisfit(grey, units, torch.zeros(1, 1, 4, 8, 8))
    with pytest.raises(ValueError, match="the image has 1 channels and the JPEG 3"):
        QuantisedMisfit(colour, units, torch.zeros(1, 1, 8, 8))
    for image in (np.linspace(0, 4095, 64), np.linspace(0, 1, 64), np.linspace(-20, 100, 64)):
        with pytest.raises(ValueError, match="grey levels from 0 to 255"):
            misfit_of(image.reshape(8, 8), grey)
