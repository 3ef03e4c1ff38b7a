from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_deep_prior.physics.jpeg import BlockCosine, JpegTables, tables_of_quality

from .jpegs import ROUNDING, SKEW, decoded, photograph, reference, saved


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
    image = photograph(colour, shape)
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
    file = saved(tmp_path / "a.jpg", photograph(colour), qtables=[flat, flat][: 1 + colour], subsampling=0)
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
