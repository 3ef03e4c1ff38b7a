"""The result of a run, wherever it has ended."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep_prior.runs.restoration import Restoration
from napari_deep_prior.runs.result import result_of
from napari_deep_prior.runs.run import restore
from napari_deep_prior.tasks import Denoise

from .toys import dimming

NOISY = Denoise(gain=1.0, offset=0.0, sigma=250.0)
"""All of the image is noise."""


def stopped(image: np.ndarray, axes: str, piece: int) -> Restoration:
    """Return a run that has ended with a piece, counted from 1."""
    with restore(image, NOISY, dimming(), axes=axes, diagnostics=True, device="cpu") as run:
        for step in run:
            if (run.piece_number, step.number) == (piece, 2):
                break
    return run


def test_what_was_finished_is_the_image_of_the_run(rng: np.random.Generator) -> None:
    image = rng.integers(0, 1000, (3, 13, 11)).astype(np.uint16)
    run = stopped(image, "ZYX", 3)
    result = result_of(run)
    assert result.missing == 0
    assert result.image is run.image
    assert result.record == run.record


def test_of_floating_point_numbers_what_was_not_reached_is_nan(rng: np.random.Generator) -> None:
    result = result_of(stopped(rng.random((4, 13, 11)) * 1000, "ZYX", 1))
    assert result.missing == 3
    for values in (result.image, result.diagnostics["residual"]):
        assert np.isfinite(values[0]).all()
        assert np.isnan(values[1:]).all()
    assert result.record.remarks[0] == "the last 3 of 4 slices were not reached: they are empty (NaN)"


@pytest.mark.parametrize("axes", ["TYX", "YTX", "YXT"])
def test_of_whole_numbers_what_was_not_reached_is_cut_off(rng: np.random.Generator, axes: str) -> None:
    image = rng.integers(0, 1000, (4, 13, 11)).astype(np.uint16)
    place = axes.index("T")
    result = result_of(stopped(np.moveaxis(image, 0, place), axes, 2))
    frames, removed = (np.moveaxis(each, place, 0) for each in (result.image, result.diagnostics["residual"]))
    assert frames.shape == removed.shape == (2, 13, 11)
    assert (frames != image[:2]).any(axis=(1, 2)).all()
    assert removed.any(axis=(1, 2)).all()
    assert result.record.remarks[0] == "the last 2 of 4 slices were not reached: they are left out"
    assert len(result.record.chosen_steps) == 2


def test_what_is_left_of_the_last_slices_of_several_axes_is_empty_and_named(rng: np.random.Generator) -> None:
    image = rng.integers(100, 1000, (3, 4, 13, 11)).astype(np.uint16)
    result = result_of(stopped(image, "TZYX", 6))
    assert result.image.shape == (2, 4, 13, 11)
    assert result.image.any(axis=(2, 3)).tolist() == [[True] * 4, [True, True, False, False]]
    assert np.isnan(result.diagnostics["residual"][1, 2:]).all()
    remark = "the last 6 of 12 slices were not reached: 2 are empty (0), and 4 are left out"
    assert result.record.remarks[0] == remark
