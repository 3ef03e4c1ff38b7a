from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import data

from napari_deep_prior.arrays.frame import canonical
from napari_deep_prior.physics.jpeg import (
    BlockCosine,
    JpegTables,
    QuantisedMisfit,
    Table,
    read_tables,
    tables_of_quality,
)

CPU = torch.device("cpu")
SUBSAMPLINGS = {0: (1, 1), 1: (1, 2), 2: (2, 2)}
"""The numbers by which Pillow is told how to subsample, and what they mean."""

ROUNDING = 0.5
"""Standard deviation, in grey levels, of what a colour is off after the roundings of encoder and decoder, at most:
three of 1 / sqrt(12), to luminance and chrominance, out of the blocks and to red, green and blue."""

SKEW = tuple(tuple(5 + 3 * row + 40 * (column > row) for column in range(8)) for row in range(8))
"""A table that is far from that with rows and columns exchanged, and from itself in any other order."""


def picture(colour: bool, shape: tuple[int, int] = (96, 112)) -> np.ndarray:
    """Return a part of a photograph, 8 bits, that keeps away from black and white, where decoders cut off."""
    whole = data.chelsea() if colour else data.camera()
    return (whole[150 : 150 + shape[0], 180 : 180 + shape[1]] * 0.8 + 25).astype(np.uint8)


def saved(path: Path, image: np.ndarray, **options: object) -> Path:
    Image.fromarray(image).save(path, "JPEG", **options)
    return path


def decoded(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def misfit_of(
    measured: np.ndarray, tables: JpegTables, pull: float = 0.0, unit: str = "steps"
) -> tuple[QuantisedMisfit, torch.Tensor, Callable[[np.ndarray], torch.Tensor]]:
    """Return the misfit to a decoded image, the image as a tensor, and what makes another image such a tensor."""
    tensor, _, frame = canonical(measured, "YXS"[: measured.ndim], device=CPU)
    factor, shift = (part.reshape(-1, 1, 1) for part in frame.units)

    def to_tensor(image: np.ndarray) -> torch.Tensor:
        channels = np.moveaxis(np.atleast_3d(image.astype(np.float64)), 2, 0)
        return torch.from_numpy((channels - shift) / factor)[None].float()

    return QuantisedMisfit(tables, frame.units, tensor, pull=pull, unit=unit), tensor, to_tensor


def reference(image: np.ndarray, tables: JpegTables) -> list[np.ndarray]:
    """Return the coefficients in steps, (block row, row, block column, column), in double precision, one by one."""
    planes, factors, steps = [image.astype(np.float64)], [(1, 1)], [tables.luminance]
    if image.ndim == 3:
        red, green, blue = np.moveaxis(planes[0], 2, 0)
        luminance = 0.299 * red + 0.587 * green + 0.114 * blue
        planes = [luminance, (blue - luminance) / 1.772, (red - luminance) / 1.402]
        factors += [tables.subsampling] * 2
        steps += [tables.chrominance] * 2
    coefficients = []
    for plane, (rows, columns), table in zip(planes, factors, steps, strict=True):
        full = np.pad(plane, ((0, -plane.shape[0] % rows), (0, -plane.shape[1] % columns)), mode="edge")
        small = np.mean([full[i::rows, j::columns] for i in range(rows) for j in range(columns)], axis=0)
        small = np.pad(small, ((0, -small.shape[0] % 8), (0, -small.shape[1] % 8)))
        blocks = small.reshape(small.shape[0] // 8, 8, small.shape[1] // 8, 8)
        coefficients.append(scipy.fft.dctn(blocks, axes=(1, 3), norm="ortho") / np.array(table)[:, None])
    return coefficients


def rounding_excess(table: Table, unit: str) -> float:
    """Return a bound of the mean squared excess that rounding to grey levels can make.

    A position in an interval is at most evenly distributed at its ends; moved by a normal error of s steps it is
    outside by E|e|³ / 3 = 0.53 s³ in the mean square. Pixels that are rounded alike add up in the mean of a block.
    """
    error = np.full((8, 8), ROUNDING)
    error[0, 0] *= 8
    steps = np.array(table)
    return float(np.mean(0.53 * (error / steps) ** 3 * (1 if unit == "steps" else steps**2)))


# Tables


@pytest.mark.parametrize("quality", [1, 10, 20, 40, 50, 75, 95, 100])
@pytest.mark.parametrize("number", SUBSAMPLINGS)
def test_tables_of_a_quality_are_those_that_pillow_writes(tmp_path: Path, quality: int, number: int) -> None:
    colour = saved(tmp_path / "colour.jpg", picture(colour=True), quality=quality, subsampling=number)
    expected = tables_of_quality(quality, colour=True, subsampling=SUBSAMPLINGS[number])
    assert read_tables(colour) == expected
    with Image.open(colour) as image:
        assert list(np.ravel(expected.luminance)) == image.quantization[0]
        assert list(np.ravel(expected.chrominance)) == image.quantization[1]
    grey = saved(tmp_path / "grey.jpg", picture(colour=False), quality=quality)
    assert read_tables(grey) == tables_of_quality(quality, colour=False) == JpegTables(expected.luminance)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}])
def test_tables_are_read_row_by_row(tmp_path: Path, options: dict[str, bool]) -> None:
    flat = [int(step) for step in np.ravel(SKEW)]
    other = [step + 7 for step in flat]
    file = saved(tmp_path / "a.jpg", picture(colour=True), qtables=[flat, other], subsampling=1, **options)
    assert read_tables(file) == JpegTables(SKEW, tuple(tuple(step + 7 for step in row) for row in SKEW), (1, 2))


@pytest.mark.parametrize(("code", "expected"), [(0x12, (2, 1)), (0x41, (1, 4)), (0x44, (4, 4))])
def test_rare_subsamplings_are_read(tmp_path: Path, code: int, expected: tuple[int, int]) -> None:
    file = saved(tmp_path / "a.jpg", picture(colour=True))
    header = bytearray(file.read_bytes())
    start = header.index(b"\xff\xc0")
    assert header[start + 10 : start + 12] == b"\x01\x22"
    header[start + 11] = code
    file.write_bytes(header)
    assert read_tables(file).subsampling == expected


def test_a_file_that_is_no_jpeg_has_no_tables(tmp_path: Path) -> None:
    Image.fromarray(picture(colour=True)).save(tmp_path / "picture.jpg", "PNG")
    (tmp_path / "words.jpg").write_text("no picture at all", encoding="utf-8")
    (tmp_path / "empty.jpg").touch()
    assert [read_tables(tmp_path / f"{name}.jpg") for name in ("picture", "words", "empty")] == [None] * 3
    with pytest.raises(ValueError, match=r"there is no file .*nothing"):
        read_tables(tmp_path / "nothing.jpg")


def test_jpegs_of_other_kinds_are_refused_with_a_sentence(tmp_path: Path) -> None:
    colour = Image.fromarray(picture(colour=True))
    colour.convert("CMYK").save(tmp_path / "inks.jpg")
    with pytest.raises(ValueError, match=r"'inks.jpg' is a JPEG of CMYK values"):
        read_tables(tmp_path / "inks.jpg")
    colour.save(tmp_path / "raw.jpg", keep_rgb=True)
    with pytest.raises(ValueError, match=r"'raw.jpg' is a JPEG of RGB values"):
        read_tables(tmp_path / "raw.jpg")
    colour.save(tmp_path / "three.jpg", qtables=[[10] * 64, [20] * 64, [30] * 64])
    with pytest.raises(ValueError, match=r"'three.jpg' .* chrominances differently"):
        read_tables(tmp_path / "three.jpg")
    # Luminance of two rows for chrominances of four, which no whole number of pixels shares.
    header = bytearray(saved(tmp_path / "odd.jpg", picture(colour=True)).read_bytes())
    start = header.index(b"\xff\xc0")
    header[start + 14] = header[start + 17] = 0x14
    (tmp_path / "odd.jpg").write_bytes(header)
    with pytest.raises(ValueError, match=r"chrominances have 4 × 1 values where luminance has 2 × 2"):
        read_tables(tmp_path / "odd.jpg")


@pytest.mark.parametrize("quality", [0, 101])
def test_a_quality_out_of_range_is_refused(quality: int) -> None:
    with pytest.raises(ValueError, match=f"quality is {quality}; it must be from 1"):
        tables_of_quality(quality, colour=True)


def test_tables_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="luminance table of a JPEG is 8 rows of 8"):
        JpegTables(SKEW[:7])
    with pytest.raises(ValueError, match="chrominance table of a JPEG is 8 rows of 8 whole numbers from 1 on"):
        JpegTables(SKEW, ((0,) * 8,) * 8)
    with pytest.raises(ValueError, match=r"subsampling is \(3, 1\)"):
        JpegTables(SKEW, SKEW, (3, 1))


# Coefficients


@pytest.mark.parametrize("shape", [(16, 32), (17, 41), (3, 2), (1, 1)])
@pytest.mark.parametrize("subsampling", [(1, 1), (2, 2), (1, 2), (1, 4)])
@pytest.mark.parametrize("colour", [False, True])
def test_coefficients_are_the_orthonormal_cosine_transform_in_steps(
    colour: bool, subsampling: tuple[int, int], shape: tuple[int, int]
) -> None:
    tables = JpegTables(SKEW, tables_of_quality(50, colour=True).chrominance if colour else None, subsampling)
    image = picture(colour, shape)
    tensor = torch.from_numpy(np.moveaxis(np.atleast_3d(image), 2, 0)[None].astype(np.float32))
    expected = reference(image, tables)
    for found, blocks in zip(BlockCosine(tables, tensor)(tensor), expected, strict=True):
        np.testing.assert_allclose(found.numpy()[0, 0], blocks, atol=1e-3)


def test_the_transform_is_orthonormal() -> None:
    basis = BlockCosine(JpegTables(SKEW), torch.zeros(())).basis
    torch.testing.assert_close(basis @ basis.T, torch.eye(8))


@pytest.mark.parametrize("colour", [False, True])
def test_coefficients_of_a_decoded_file_are_nearly_whole_steps_of_its_tables(tmp_path: Path, colour: bool) -> None:
    flat = [int(step) for step in np.ravel(SKEW)]
    file = saved(tmp_path / "a.jpg", picture(colour), qtables=[flat, flat][: 1 + colour], subsampling=0)
    image = torch.from_numpy(np.moveaxis(np.atleast_3d(decoded(file)), 2, 0)[None].astype(np.float32))
    image[:, 0 if not colour else slice(None)] -= 128
    distances = {}
    for name, table in (("own", SKEW), ("exchanged", tuple(zip(*SKEW, strict=True)))):
        tables = JpegTables(table, table if colour else None)
        steps = torch.cat([part.flatten() for part in BlockCosine(tables, image)(image)])
        distances[name] = float((steps - steps.round()).square().mean().sqrt())
    # The error of a coefficient over its step, the mean of a block with eight times that.
    error = np.full((8, 8), ROUNDING)
    error[0, 0] *= 8
    assert distances["own"] < np.sqrt(np.mean((error / np.array(SKEW)) ** 2))
    assert distances["exchanged"] > 1.5 * distances["own"]


# Misfit


@pytest.mark.parametrize("number", [None, 0, 2])
@pytest.mark.parametrize("quality", [10, 20, 40])
@pytest.mark.parametrize("shape", [(96, 112), (91, 107)])
@pytest.mark.parametrize("unit", ["grey levels", "steps"])
def test_the_original_is_within_the_intervals_of_its_jpeg_and_others_are_not(
    tmp_path: Path, unit: str, shape: tuple[int, int], quality: int, number: int | None
) -> None:
    original = picture(number is not None, shape)
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
    file = saved(tmp_path / "a.jpg", picture(colour), quality=20)
    misfit, measured, _ = misfit_of(decoded(file), read_tables(file), pull=0.05)
    assert float(misfit.pointwise(measured, measured).abs().max()) == 0


@pytest.mark.parametrize("shape", [(16, 32), (17, 43), (5, 6), (1, 2)])
@pytest.mark.parametrize("subsampling", [None, (1, 1), (2, 2), (1, 2), (4, 1)])
@pytest.mark.parametrize(("pull", "unit"), [(0.0, "steps"), (0.3, "steps"), (0.3, "grey levels")])
def test_every_coefficient_counts_once_or_for_the_pixels_that_share_it(
    shape: tuple[int, int], subsampling: tuple[int, int] | None, pull: float, unit: str, rng: np.random.Generator
) -> None:
    tables = tables_of_quality(60, colour=subsampling is not None, subsampling=subsampling or (1, 1))
    image = picture(subsampling is not None, shape)
    other = image + rng.normal(0, 20, image.shape)
    misfit, measured, to_tensor = misfit_of(image, tables, pull, unit)
    found = misfit.pointwise(to_tensor(other), measured)
    assert found.shape == measured.shape
    away = [np.abs(steps) for steps in reference(other - image, tables)]
    costs = [np.maximum(steps - 0.5, 0) ** 2 + pull * steps**2 for steps in away]
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
def test_a_coefficient_that_is_off_is_seen_at_one_pixel(row: int, column: int) -> None:
    measured = picture(colour=False, shape=(16, 24))
    step = SKEW[row % 8][column % 8]
    coefficients = np.zeros((2, 8, 3, 8))
    coefficients[row // 8, row % 8, column // 8, column % 8] = 2 * step
    change = scipy.fft.idctn(coefficients, axes=(1, 3), norm="ortho").reshape(16, 24)
    misfit, tensor, to_tensor = misfit_of(measured, JpegTables(SKEW), pull=0.1)
    found = misfit.pointwise(to_tensor(measured + change), tensor)[0, 0]
    expected = torch.zeros(16, 24)
    expected[row, column] = 1.5**2 + 0.1 * 2**2
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("colour", "shape"), [(False, (24, 16)), (True, (21, 35))])
def test_gradients_are_the_slope_of_the_misfit_and_lead_back_into_the_intervals(
    colour: bool, shape: tuple[int, int], rng: np.random.Generator
) -> None:
    image = picture(colour, shape)
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


def test_within_the_intervals_only_the_pull_is_felt(rng: np.random.Generator) -> None:
    image = picture(colour=True)
    tables = tables_of_quality(10, colour=True)
    for pull in (0.0, 0.05):
        misfit, measured, to_tensor = misfit_of(image, tables, pull)
        predicted = to_tensor(image + rng.normal(0, 0.5, image.shape)).requires_grad_()
        misfit.pointwise(predicted, measured).sum().backward()
        assert bool(predicted.grad.any()) == (pull > 0)


def test_the_misfit_counts_grey_levels_whatever_the_range_of_the_image() -> None:
    image = picture(colour=False)
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
    misfit, measured, to_tensor = misfit_of(picture(colour=True), tables_of_quality(30, colour=True))
    brighter = to_tensor(picture(colour=True).astype(np.float64) + 1)
    torch.testing.assert_close(
        misfit.stabilise(brighter) - misfit.expected(measured), misfit.stabilised_variance(measured), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(misfit.unstabilise(misfit.expected(measured)), measured)


# Projection and compression anew


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 2), (1, 2), (4, 1)])
@pytest.mark.parametrize("colour", [False, True])
def test_the_image_of_coefficients_has_these_coefficients(
    colour: bool, subsampling: tuple[int, int], rng: np.random.Generator
) -> None:
    tables = tables_of_quality(30, colour=colour, subsampling=subsampling)
    cosine = BlockCosine(tables, torch.zeros(()))
    image = torch.from_numpy(rng.normal(0, 30, (1, tables.channels, 64, 32))).float()
    coefficients = cosine(image)
    again = cosine.image(coefficients, (64, 32))
    for expected, found in zip(coefficients, cosine(again), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    if not colour or subsampling == (1, 1):
        torch.testing.assert_close(again, image, atol=1e-2, rtol=1e-3)
    torch.testing.assert_close(cosine.colour(cosine.luminances(image)), image, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("width", [0.5, 0.2])
@pytest.mark.parametrize("colour", [False, True])
def test_the_nearest_image_is_within_the_intervals_and_no_other_is_nearer(
    colour: bool, width: float, rng: np.random.Generator
) -> None:
    image = picture(colour)
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
def test_what_is_compressed_again_is_what_pillow_makes_of_it(
    tmp_path: Path, number: int | None, shape: tuple[int, int]
) -> None:
    image = picture(number is not None, shape)
    options = {} if number is None else {"subsampling": number}
    expected = decoded(saved(tmp_path / "a.jpg", image, quality=30, **options)).astype(float)
    tables = tables_of_quality(30, colour=number is not None, subsampling=SUBSAMPLINGS[number or 0])
    misfit, _, to_tensor = misfit_of(image, tables)
    difference = (misfit.again(to_tensor(image)) - to_tensor(expected)) * misfit.factor
    # Pillow smooths chrominances that are shared; what it rounds on its way puts a few coefficients one step further.
    most = 0.3 if number in (None, 0) else 0.6
    assert float(difference.square().mean().sqrt()) < most * np.sqrt(np.mean((expected - image) ** 2))


@pytest.mark.parametrize("colour", [False, True])
def test_blocks_can_begin_before_the_image(colour: bool) -> None:
    image = picture(colour, (48, 64))
    misfit, measured, _ = misfit_of(image, tables_of_quality(20, colour=colour))
    shifted = misfit.again(measured, offset=(5, 3))
    inside = misfit.again(measured[..., misfit.period[0] - 5 :, misfit.period[1] - 3 :])
    torch.testing.assert_close(
        shifted[..., misfit.period[0] - 5 : 32, misfit.period[1] - 3 : 48],
        inside[..., : 32 - misfit.period[0] + 5, : 48 - misfit.period[1] + 3],
    )
    assert float((shifted - misfit.again(measured)).abs().mean()) > 1e-3


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
