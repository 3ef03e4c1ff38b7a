"""One network for all slices of a stack: trained once, where there is something to see, and used as far as it helps."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

import numpy as np
import pytest
import torch

from napari_deep_prior import restore
from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.metrics import psnr
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.arrays.pieces import Piece
from napari_deep_prior.methods import SelfDistillation
from napari_deep_prior.methods.shared_distillation import TRAINED_ON
from napari_deep_prior.methods.windows_of_interest import WINDOW, WINDOWS, windows_of_interest
from napari_deep_prior.networks import UNet
from napari_deep_prior.runs.elsewhere import restore_piece
from napari_deep_prior.runs.executor import Executor, PieceDone, PieceJob
from napari_deep_prior.runs.output import ArrayOutput
from napari_deep_prior.runs.restoration import Restoration
from napari_deep_prior.tasks import Denoise

from .test_zarr_output import opened, run_into
from .toys import Counting

CAMERA = Camera(gain=2.0, offset=100.0, read_noise=5.0)
QUICK = SelfDistillation(steps=40, crop=24, examples=4, precision="float32", network=UNet(channels=(8, 8)))
ALONE = dataclasses.replace(QUICK, shared=False)
FRAMES = Denoise(neighbours=0)
PHOTONS = 10 * cells((5, 48, 48))


@pytest.fixture(scope="module")
def stack() -> tuple[Array, Array]:
    """Five noisy planes of 48², and their truth."""
    photons = PHOTONS
    return CAMERA.expose(photons, np.random.default_rng(0)).astype(np.float32), CAMERA.expected(photons)


def quality(image: Array, truth: Array) -> float:
    return float(np.mean([psnr(each, true) for each, true in zip(image, truth, strict=True)]))


def test_a_network_is_trained_once_and_restores_as_well_as_one_for_each_slice(stack: tuple[Array, Array]) -> None:
    noisy, truth = stack
    run = restore(noisy, FRAMES, QUICK, axes="TYX", device="cpu")
    steps = [(run.piece_number, step.number, step.total) for step in run]
    assert steps == [(1, number, 40) for number in range(1, 41)] + [(number, 40, 40) for number in (2, 3, 4, 5)]
    alone = restore(noisy, FRAMES, ALONE, axes="TYX", device="cpu").finish()
    shared = quality(run.image, truth)
    assert shared > quality(noisy, truth) + 3
    assert shared > quality(alone, truth) - 0.3
    (remark,) = [each for each in run.record.remarks if "one network" in each]
    assert "on slices 1, 2, 3, 4, 5; held-out pixels of each slice decide" in remark
    assert "it counts for" in remark
    assert run.record.method == QUICK


def test_it_can_be_switched_off_and_is_not_used_for_one_image_or_an_ensemble(stack: tuple[Array, Array]) -> None:
    ensemble = dataclasses.replace(QUICK, members=2)
    two, one = stack[0][:2], stack[0][0]
    for image, axes, method in ((two, "TYX", ALONE), (one, "YX", QUICK), (two, "TYX", ensemble)):
        run = restore(image, FRAMES, dataclasses.replace(method, steps=3), axes=axes, device="cpu")
        last = max(step.number for step in run if run.piece_number == run.piece_count)
        assert last == 3 * method.members
        assert not any("one network" in each for each in run.record.remarks)


def test_it_goes_together_with_neighbours(stack: tuple[Array, Array]) -> None:
    static = CAMERA.expose(np.repeat(PHOTONS[2:3], 4, axis=0), np.random.default_rng(1))
    truth = CAMERA.expected(np.repeat(PHOTONS[2:3], 4, axis=0))
    frame = restore(static, FRAMES, QUICK, axes="TYX", device="cpu").finish()
    run = restore(static, Denoise(neighbours=1), QUICK, axes="TYX", device="cpu")
    assert quality(run.finish(), truth) > quality(frame, truth) + 0.8
    assert sum("one network" in each or "is averaged with" in each for each in run.record.remarks) == 2


def test_what_is_blank_is_not_trained_on_and_passed_through(stack: tuple[Array, Array]) -> None:
    noisy = stack[0].copy()
    noisy[[0, 3]] = 100
    run = restore(noisy, FRAMES, QUICK, axes="TYX", device="cpu")
    np.testing.assert_array_equal(run.finish()[[0, 3]], noisy[[0, 3]])
    assert any("on slices 2, 3, 5;" in each for each in run.record.remarks)
    assert run.record.chosen_steps == [None, 40, 40, None, 40]


def test_it_is_trained_where_there_is_something_to_see(stack: tuple[Array, Array]) -> None:
    dark = CAMERA.expose(np.full((30, 48, 48), 2.0), np.random.default_rng(2)).astype(np.float32)
    dark[[7, 19]] = stack[0][[1, 2]]
    lazy = Counting(dark)
    run = restore(lazy, FRAMES, dataclasses.replace(QUICK, steps=2), axes="TYX", device="cpu")
    next(run)
    trained_on = run._shared.network.distillation.trained_on
    assert {7, 19} <= set(trained_on)
    assert len(trained_on) == TRAINED_ON


def test_a_run_that_was_stopped_goes_on_with_the_same_network(tmp_path: Path, stack: tuple[Array, Array]) -> None:
    noisy = stack[0]
    whole = run_into(opened(tmp_path / "whole.zarr", shape=noisy.shape, dtype="float32"), noisy, QUICK, FRAMES).finish()
    path = tmp_path / "out.zarr"
    run = run_into(opened(path, shape=noisy.shape, dtype="float32"), noisy, QUICK, FRAMES)
    for _ in run:
        if run.piece_number == 3:
            break
    run.close()
    again = run_into(opened(path, shape=noisy.shape, dtype="float32"), noisy, QUICK, FRAMES)
    assert {again.piece_number for _ in again} == {3, 4, 5}
    np.testing.assert_array_equal(again.image, whole)


@final
class Elsewhere(Executor):
    """Restores the last piece first, from a copy of what another process would be sent."""

    @property
    def in_words(self) -> str:
        return "elsewhere"

    def restore(self, job: PieceJob, pieces: Sequence[Piece]) -> Iterator[PieceDone]:
        for piece in reversed(pieces):
            sent = pickle.loads(pickle.dumps(job))  # noqa: S301  (our own)
            yield restore_piece(sent, piece.number, torch.get_num_threads())


def test_other_processes_restore_with_the_same_network(stack: tuple[Array, Array]) -> None:
    noisy = stack[0]
    here = restore(noisy, FRAMES, QUICK, axes="TYX", device="cpu")
    wanted = here.finish()
    there = Restoration(
        dataclasses.replace(here.setup, output=ArrayOutput(here.shape, np.dtype(np.float32)), executor=Elsewhere())
    )
    np.testing.assert_array_equal(there.finish(), wanted)
    assert there.record.remarks == here.record.remarks
    assert all(torch.equal(each, there.model.weights[name]) for name, each in here.model.weights.items())


def test_a_run_that_is_stopped_while_it_trains_has_an_image(stack: tuple[Array, Array]) -> None:
    noisy, truth = stack
    with restore(noisy, FRAMES, QUICK, axes="TYX", device="cpu") as run:
        next(run)
        assert psnr(run.image[0], truth[0]) > psnr(noisy[0], truth[0]) + 3
    np.testing.assert_array_equal(run.image[1:], noisy[1:])


def test_windows_are_few_and_have_the_most_to_show() -> None:
    clean = torch.zeros(1, 2, 5 * WINDOW + 30, 4 * WINDOW)
    clean[..., 300:310, 200:210] = 1
    clean[..., -5:, -5:] = 1
    windows = windows_of_interest(clean, clean + 1)
    assert len(windows) == WINDOWS
    assert {tuple(each.shape) for pair in windows for each in pair} == {(1, 2, WINDOW, WINDOW)}
    assert sum(bool(first.any()) for first, _ in windows) >= 2
    assert all(torch.equal(first + 1, second) for first, second in windows)
    # What is kept is a copy: the whole slice can be given up.
    assert all(each.untyped_storage().nbytes() == each.numel() * 4 for pair in windows for each in pair)
    (pair,) = windows_of_interest(clean[..., :40, :50], clean[..., :40, :50])
    assert torch.equal(pair[0], clean[..., :40, :50])
