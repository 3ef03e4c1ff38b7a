"""The numbers are those of scikit-image, plane by plane and in a region; what cannot be compared is said."""

from __future__ import annotations

import csv
import io
import math

import dask.array
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_laplace
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from napari_deep_prior.runs.compare import AT_THE_EDGE, NO_DETAIL, TOO_SMALL, compare, difference
from napari_deep_prior.runs.comparison_table import Row, four_digits
from napari_deep_prior.runs.reference import Reference, Region

GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


@pytest.fixture
def stack(rng: np.random.Generator) -> np.ndarray:
    """A reference of planes and channels, ZYXS."""
    return rng.integers(0, 4000, (2, 23, 31, 3)).astype(np.uint16)


@pytest.fixture
def result(stack: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (stack + rng.normal(0, 300, stack.shape)).astype(np.float32)


def whole(image: np.ndarray, truth: np.ndarray, axes: str, region: np.ndarray | None = None, **how: object) -> Row:
    given = None if region is None else Region("mask", region)
    return compare("result", image, Reference.of("truth", truth, axes, region=given), **how)[0]


def log_of(plane: np.ndarray) -> np.ndarray:
    return gaussian_laplace(plane.astype(np.float64), 1.5, radius=7)


def test_the_numbers_are_those_of_scikit_image(result: np.ndarray, stack: np.ndarray) -> None:
    row, span = whole(result, stack, "ZYXS"), float(np.ptp(stack))
    truth, image = stack.astype(np.float64), result.astype(np.float64)
    planes = [(image[z, ..., s], truth[z, ..., s]) for z in range(2) for s in range(3)]
    assert row.pixels == stack.size
    assert row.mse == pytest.approx(mean_squared_error(truth, image), rel=1e-12)
    assert row.psnr == pytest.approx(peak_signal_noise_ratio(truth, image, data_range=span), rel=1e-12)
    ssim = [structural_similarity(*pair, data_range=span, **GAUSSIAN) for pair in planes]
    assert row.ssim == pytest.approx(np.mean(ssim), rel=1e-9)
    error = sum(np.sum((log_of(first) - log_of(second)) ** 2) for first, second in planes)
    assert row.hfen == pytest.approx(math.sqrt(error / sum(np.sum(log_of(second) ** 2) for _, second in planes)))


def test_tiles_of_a_large_plane_change_no_number(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = rng.normal(0, 1, (70, 65))
    image, mask = truth + rng.normal(0, 1, truth.shape), rng.random(truth.shape) < 0.5
    at_once = whole(image, truth, "YX", mask)
    monkeypatch.setattr("napari_deep_prior.runs.error_sums.TILE", 32)
    row = whole(image, truth, "YX", mask)
    assert (row.pixels, row.mse, row.ssim) == pytest.approx((at_once.pixels, at_once.mse, at_once.ssim), rel=1e-12)
    assert row.hfen == pytest.approx(at_once.hfen, rel=1e-5)


def test_the_order_of_the_axes_changes_no_number(result: np.ndarray, stack: np.ndarray) -> None:
    first = whole(result, stack, "ZYXS")
    last = whole(result.transpose(3, 2, 0, 1), stack.transpose(3, 2, 0, 1), "CXZY")
    assert (last.mse, last.ssim, last.hfen) == pytest.approx((first.mse, first.ssim, first.hfen))


def test_every_plane_and_channel_has_its_row_on_request(result: np.ndarray, stack: np.ndarray) -> None:
    rows = compare("result", result, Reference.of("truth", stack, "ZYXS"), per_plane=True)
    assert [row.place_in_words for row in rows] == ["all", *(f"Z {z}, S {s}" for z in range(2) for s in range(3))]
    assert rows[0].mse == pytest.approx(np.mean([row.mse for row in rows[1:]]))
    assert rows[5].mse == pytest.approx(mean_squared_error(stack[1, ..., 1], result[1, ..., 1].astype(np.float64)))


@pytest.mark.parametrize("shape", ["whole", "planes", "one plane"])
def test_only_the_region_counts(result: np.ndarray, stack: np.ndarray, shape: str) -> None:
    mask = np.zeros((2, 23, 31), bool)
    mask[:, 8:15, 9:20] = True
    if shape == "whole":
        mask = np.repeat(mask[..., None], 3, axis=-1)
    elif shape == "one plane":
        mask = mask[0]
    row = whole(result, stack, "ZYXS", mask)
    truth, image, span = stack.astype(np.float64), result.astype(np.float64), float(np.ptp(stack))
    box = (slice(None), slice(8, 15), slice(9, 20))
    assert row.pixels == truth[box].size
    assert row.mse == pytest.approx(mean_squared_error(truth[box], image[box]))
    maps = [
        structural_similarity(truth[z, ..., s], image[z, ..., s], data_range=span, full=True, **GAUSSIAN)[1]
        for z in range(2)
        for s in range(3)
    ]
    assert row.ssim == pytest.approx(np.mean([each[8:15, 9:20] for each in maps]))
    assert row.hfen != pytest.approx(whole(result, stack, "ZYXS").hfen, rel=1e-3)


def test_a_mask_of_all_pixels_changes_no_number(result: np.ndarray, stack: np.ndarray) -> None:
    assert whole(result, stack, "ZYXS", np.ones((23, 31))) == whole(result, stack, "ZYXS")


def test_a_fit_undoes_a_gain_and_an_offset(stack: np.ndarray, rng: np.random.Generator) -> None:
    noisy = stack + rng.normal(0, 20, stack.shape)
    changed = 1e6 + 0.01 * noisy
    row = whole(changed, stack, "ZYXS", fit=True)
    gain, offset = np.polyfit(noisy.ravel(), stack.ravel(), 1)
    assert row.gain == pytest.approx(100 * gain)
    assert row.offset == pytest.approx(offset - 1e8 * gain)
    assert row.mse == pytest.approx(np.mean((gain * noisy + offset - stack) ** 2), rel=1e-6)
    unfitted = whole(changed, stack, "ZYXS")
    assert (unfitted.gain, unfitted.offset) == (1, 0)
    assert unfitted.mse > 1e11


def test_a_smaller_image_is_interpolated_in_three_ways(stack: np.ndarray) -> None:
    truth = stack[0, :22, :30, 0]
    small = truth[::2, ::3].astype(np.float32)
    rows = compare("small", small, Reference.of("truth", truth, "YX"))
    assert [row.title for row in rows] == ["small (nearest)", "small (bilinear)", "small (bicubic)"]
    nearest = np.repeat(np.repeat(small, 2, axis=0), 3, axis=1)
    assert rows[0].mse == pytest.approx(mean_squared_error(truth, nearest))
    cubic = np.asarray(Image.fromarray(small).resize((30, 22), Image.Resampling.BICUBIC))
    assert rows[2].mse == pytest.approx(mean_squared_error(truth, cubic))


def test_the_difference_is_the_fitted_and_interpolated_result_less_the_reference(stack: np.ndarray) -> None:
    truth = stack[..., 0].transpose(1, 0, 2)[:22]
    small = truth[::2].astype(np.float32) / 2
    reference = Reference.of("truth", truth, "YZX")
    (row, *_) = compare("small", small, reference, fit=True)
    values = difference(row, small, reference)
    assert (values.shape, values.dtype) == (truth.shape, np.float32)
    wanted = row.gain * np.repeat(small, 2, axis=0) + row.offset - truth
    np.testing.assert_allclose(values, wanted, atol=1e-3)


def test_opacity_is_not_compared(rng: np.random.Generator) -> None:
    truth = rng.integers(0, 255, (12, 13, 4), np.uint8)
    image = truth.copy()
    image[..., 3] = 255 - truth[..., 3]
    assert whole(image, truth, "YXS").psnr == math.inf
    assert whole(image[..., :3], truth, "YXS").mse == 0


def test_equal_images_have_the_best_measures(stack: np.ndarray) -> None:
    row = whole(stack, stack, "ZYXS")
    assert (row.mse, row.psnr, row.ssim, row.hfen) == (0, math.inf, pytest.approx(1), 0)


def test_only_planes_are_read_of_a_lazy_image(result: np.ndarray, stack: np.ndarray) -> None:
    read: list[int] = []

    def noted(block: np.ndarray) -> np.ndarray:
        read.append(len(block))
        return block

    lazy = [dask.array.from_array(each, chunks=(1, 23, 31, 3)) for each in (result, stack)]
    lazy = [each.map_blocks(noted, dtype=each.dtype, meta=np.empty((0,) * 4, each.dtype)) for each in lazy]
    assert whole(*lazy, "ZYXS") == whole(result, stack, "ZYXS")
    assert set(read) == {1}


def test_why_there_is_no_number_stands_in_its_place(rng: np.random.Generator) -> None:
    truth = rng.normal(0, 1, (30, 30))
    image = truth + rng.normal(0, 1, truth.shape)
    assert whole(image[:10], truth[:10], "YX").ssim == TOO_SMALL
    corner, flat = np.zeros((2, 30, 30), bool)
    corner[:4, :4] = True
    assert whole(image, truth, "YX", corner).ssim == AT_THE_EDGE
    truth[:20] = 7.3
    flat[:12] = True
    assert whole(image, truth, "YX", flat).hfen == NO_DETAIL


def test_missing_pixels_outside_the_region_do_no_harm(result: np.ndarray, stack: np.ndarray) -> None:
    mask = np.zeros((23, 31), bool)
    mask[:, :12] = True
    truth, image = stack.astype(np.float32), result.copy()
    truth[1, :, 20:], image[0, 4, 25] = np.nan, np.inf
    row = whole(image, truth, "ZYXS", mask)
    expected = whole(result, stack, "ZYXS", mask)
    assert (row.mse, row.ssim, row.hfen) == pytest.approx((expected.mse, expected.ssim, expected.hfen))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"truth": np.full((12, 13), 5)}, "the reference 'truth' is constant (every pixel is 5): nothing can be"),
        ({"truth": np.where(np.eye(12, 13) > 0, np.nan, 1)}, "the reference 'truth' has values that are NaN, infinite"),
        ({"image": np.where(np.eye(12, 13) > 0, np.inf, 1)}, "'result' has values that are NaN, infinite or above 3.4"),
        ({"image": np.ones((13, 12))}, "'result' has shape (13, 12); the reference 'truth' has (12, 13) (axes YX)"),
        ({"image": np.ones((3, 12, 13))}, "'result' has shape (3, 12, 13); the reference"),
        ({"image": np.ones((24, 26))}, "'result' has shape (24, 26); the reference"),
        ({"image": np.ones((12, 13), complex)}, "'result' cannot be compared: the image has pixels of type complex128"),
        ({"mask": np.zeros((12, 13))}, "the mask 'mask' has no pixel: mark where the images are to be compared"),
        ({"mask": np.ones((12, 12))}, "the mask has shape (12, 12); the image's is (12, 13)"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_said(
    change: dict[str, np.ndarray], sentence: str, rng: np.random.Generator
) -> None:
    truth = rng.normal(0, 1, (12, 13))
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the sentence is compared below)
        whole(change.get("image", truth), change.get("truth", truth), "YX", change.get("mask"))
    assert sentence in str(caught.value)


@pytest.mark.parametrize("span", [0, -1, math.nan, math.inf])
def test_a_data_range_is_a_number_above_zero(stack: np.ndarray, span: float) -> None:
    with pytest.raises(ValueError, match=r"the data range is .*; it must be a number above 0"):
        Reference.of("truth", stack, "ZYXS", span=span)


def test_the_table_says_what_its_numbers_are(result: np.ndarray, stack: np.ndarray) -> None:
    reference = Reference.of("truth", stack, "ZYXS", region=Region("cells", np.ones((23, 31))), span=4096)
    rows = [*compare("a, b", result, reference, fit=True), *compare("truth", stack, reference, per_plane=True)]
    table = reference.table(rows, fitted=True)
    text = table.text()
    assert "Compared with truth, inside cells.\nData range 4096: as it was given.\nGain and offset of each" in text
    assert "HFEN (LoG 15 × 15, σ 1.5)" in text
    assert all(f"\n{name}: " in text for name in ("MSE", "PSNR", "SSIM", "HFEN"))
    header, first, perfect, *planes = text.split("\n\n")[1].splitlines()
    assert len({len(line) for line in (header, first, perfect)}) == 1
    assert first.split()[:3] == ["a,", "b", "all"]
    assert f" {rows[0].psnr:.2f} " in first
    assert perfect.split() == ["truth", "all", "0.000", "inf", "1.0000", "0.000", "1", "0"]
    assert len(planes) == 6
    lines = list(csv.DictReader(io.StringIO(table.separated())))
    assert float(lines[0]["mse"]) == rows[0].mse
    assert (lines[0]["result"], lines[0]["Z"], lines[3]["Z"], lines[3]["S"]) == ("a, b", "all", "0", "1")
    assert {(line["reference"], line["region"], line["data_range"]) for line in lines} == {("truth", "cells", "4096")}


def test_a_table_of_whole_images_has_no_column_of_planes(result: np.ndarray, stack: np.ndarray) -> None:
    reference = Reference.of("truth", stack.astype(np.uint8), "ZYXS")
    table = reference.table(compare("result", result, reference), fitted=False)
    assert [title.split()[0] for title in table.titles()] == ["Result", "MSE", "PSNR", "SSIM", "HFEN"]
    assert table.introduction() == ("Compared with truth, all pixels.", "Data range 255: that of 8 bits.")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.5000"), (1234.4, "1234"), (123456, "1.235e+05"), (0.000123456, "0.0001235"), (0, "0.000")],
)
def test_four_significant_digits(value: float, text: str) -> None:
    assert four_digits(value) == text
