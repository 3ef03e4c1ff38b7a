"""Channels that are restored one by one: each as if it were an image of its own, with its own noise and network."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from napari_deep_prior import restore
from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.metrics import psnr
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.methods import SelfDistillation
from napari_deep_prior.networks import UNet
from napari_deep_prior.runs.output import ArrayOutput
from napari_deep_prior.runs.record import Recipe
from napari_deep_prior.runs.restoration import Restoration
from napari_deep_prior.tasks import Denoise, Inpaint

from .test_shared_network import Elsewhere
from .test_zarr_output import opened

BRIGHT, DIM = Camera(gain=2.0, offset=100.0, read_noise=5.0), Camera(gain=1.0, offset=10.0, read_noise=1.0)
QUICK = SelfDistillation(steps=30, crop=24, examples=4, precision="float32", network=UNet(channels=(8, 8)))


@pytest.fixture(scope="module")
def series() -> Array:
    """Four frames of two channels, TCYX: one of them bright, in the other something else, which is dim."""
    photons, generator = cells((8, 40, 44)), np.random.default_rng(0)
    channels = [BRIGHT.expose(10 * photons[:4], generator), DIM.expose(photons[4:], generator)]
    return np.stack(channels, axis=1).astype(np.float32)


@pytest.mark.parametrize("neighbours", [0, 1])
@pytest.mark.parametrize("tile", [None, 64])
def test_each_channel_is_restored_as_if_it_were_an_image_of_its_own(
    series: Array, neighbours: int, tile: int | None
) -> None:
    image = np.tile(series[:2], (1, 1, 2, 1)) if tile else series
    options = {"effort": "fast", "device": "cpu", "tile": tile}
    run = restore(image, Denoise(neighbours=neighbours), axes="TCYX", separate_channels=True, **options)
    result = run.finish()
    assert run.piece_count == len(image) * 2 * (2 if tile else 1)
    for channel in (0, 1):
        alone = restore(image[:, channel], Denoise(neighbours=neighbours), axes="TYX", **options)
        np.testing.assert_array_equal(result[:, channel], alone.finish())
        assert run.record.noise.channels[channel] == alone.record.noise.channels[0]
    said = [each for each in run.record.remarks if "is averaged with" in each]
    assert [each.split(":")[0] for each in said] == ["channel 0", "channel 1"] * (neighbours > 0)


def test_each_channel_has_a_network_of_its_own_here_and_elsewhere(series: Array) -> None:
    options = {"axes": "TCYX", "device": "cpu", "separate_channels": True}
    run = restore(series, Denoise(neighbours=0), QUICK, **options)
    steps = [(run.piece_number, step.number) for step in run]
    # Pieces 1 and 2 are the channels of the first frame.
    assert steps == [(piece, number) for piece in (1, 2) for number in range(1, 31)] + [(n, 30) for n in range(3, 9)]
    truth = np.stack([BRIGHT.expected(10 * cells((8, 40, 44))[:4]), DIM.expected(cells((8, 40, 44))[4:])], axis=1)
    for channel in (0, 1):
        before, after = (psnr(each[:, channel], truth[:, channel]) for each in (series, run.image))
        assert after > before + 2
    assert any(each.startswith("for each channel a network was trained") for each in run.record.remarks)
    assert run.model is None
    output = ArrayOutput(run.shape, np.dtype(np.float32))
    there = Restoration(dataclasses.replace(run.setup, output=output, executor=Elsewhere()))
    np.testing.assert_array_equal(there.finish(), run.image)


def test_a_run_that_was_stopped_between_two_channels_goes_on(tmp_path: Path, series: Array) -> None:
    def begin(name: str) -> Restoration:
        output = opened(tmp_path / name, shape=series.shape, dtype="float32", axes="TCYX")
        run = restore(series, Denoise(), effort="fast", axes="TCYX", separate_channels=True, device="cpu")
        return Restoration(dataclasses.replace(run.setup, output=output))

    whole = begin("whole.zarr").finish()
    run = begin("out.zarr")
    for _ in run:
        if run.piece_number == 4:
            break
    run.close()
    again = begin("out.zarr")
    assert {again.piece_number for _ in again} == {4, 5, 6, 7, 8}
    np.testing.assert_array_equal(again.image, whole)


def test_the_record_says_so_and_the_settings_are_used_again(series: Array) -> None:
    run = restore(series, Denoise(), effort="fast", axes="TCYX", separate_channels=True, device="cpu")
    assert Recipe.from_json(run.record.to_json()).separate_channels
    together = restore(series, Denoise(), effort="fast", axes="TCYX", device="cpu")
    older = {name: value for name, value in together.record.to_json().items() if name != "separate_channels"}
    assert not Recipe.from_json(older).separate_channels
    # Without channels there is nothing to separate.
    assert restore(series[:, 0], Denoise(), axes="TYX", separate_channels=True, device="cpu").piece_count == 4


def test_masks_lie_where_they_lay(series: Array) -> None:
    mask = np.zeros(series.shape, bool)
    mask[:, 1, 10:14, 10:14] = True
    run = restore(
        series[:1], Inpaint(), effort="fast", axes="TCYX", mask=mask[:1], separate_channels=True, device="cpu"
    )
    result = run.finish()
    np.testing.assert_array_equal(result[~mask[:1]], series[:1][~mask[:1]])
    assert (result[mask[:1]] != series[:1][mask[:1]]).any()
    assert [each.split(":")[0] for each in run.record.passed_through] == ["slice 1"]
