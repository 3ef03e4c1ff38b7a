"""Tiles: an image that is cut comes back as if it were whole, whatever its size, axes and inputs, and without seams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, shift

from napari_deep_prior.arrays.metrics import psnr
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.methods import Method, PlugAndPlay
from napari_deep_prior.problem import Problem
from napari_deep_prior.progress import Step
from napari_deep_prior.runs.errors import OutOfMemoryError
from napari_deep_prior.runs.result import result_of
from napari_deep_prior.runs.run import restore
from napari_deep_prior.runs.tiling import bytes_of
from napari_deep_prior.tasks import Denoise, Guided, Inpaint, RemoveArtifacts, SuperResolve, Task

from .toys import Counting, Look, dimming

TILE = 64
PLANE = (150, 139)


def restored(image: np.ndarray, task: Task, method: str | Method | None = None, **options: Any) -> np.ndarray:
    return restore(image, task, method or dimming(), device="cpu", **options).finish()


@pytest.mark.parametrize(
    ("shape", "options", "dtype"),
    [
        (PLANE, {}, "float32"),
        (PLANE, {}, "uint16"),
        ((TILE, 200), {}, "float64"),
        ((2, *PLANE), {"axes": "TYX"}, "uint8"),
        ((2, *PLANE), {"axes": "CYX"}, "float32"),
        ((*PLANE, 3), {"axes": "YXS"}, "uint8"),
        ((*PLANE, 4), {"axes": "YXS"}, "uint8"),
        ((3, *PLANE), {"axes": "ZYX", "volume": True}, "float32"),
    ],
)
def test_what_is_done_pixel_by_pixel_is_the_same_in_tiles(
    shape: tuple[int, ...], options: dict[str, Any], dtype: str, rng: np.random.Generator
) -> None:
    # A ramp: by the limits of its own, every tile would be scaled in another way.
    image = (rng.random(shape) * 40 + np.linspace(0, 200, np.prod(shape)).reshape(shape)).astype(dtype)
    whole = restored(image, Look(), **options)
    np.testing.assert_array_equal(restored(image, Look(), tile=TILE, **options), whole)
    assert (whole != image).any()


@pytest.mark.parametrize("factor", [1.5, 2.0])
def test_enlarged_tiles_lie_where_they_belong(factor: float, rng: np.random.Generator) -> None:
    image, task = rng.random((70, 101)), SuperResolve(factor=factor)
    # Interpolation sees four pixels, fewer than there are around a tile.
    np.testing.assert_allclose(restored(image, task, tile=TILE), restored(image, task), atol=1e-5)


@pytest.mark.slow
def test_an_image_denoised_in_tiles_is_as_good_and_shows_no_seams(rng: np.random.Generator) -> None:
    camera, photons = Camera(), cells((256, 211))
    truth, noisy = camera.expected(photons), camera.expose(photons, rng)
    whole, tiled = (restored(noisy, Denoise(), "auto", effort="fast", tile=tile) for tile in (None, 128))
    assert psnr(tiled, truth) > psnr(whole, truth) - 0.02
    before, after = ((each - truth) ** 2 for each in (whole.astype(float), tiled.astype(float)))
    at_seams = np.zeros(truth.shape, bool)
    at_seams[124:132] = at_seams[:, 124:132] = True
    gains = [np.sqrt(after[where].mean() / before[where].mean()) for where in (at_seams, ~at_seams)]
    assert gains[0] / gains[1] < 1.02


def test_holes_are_filled_in_tiles_and_known_pixels_stay(rng: np.random.Generator) -> None:
    image = gaussian_filter(rng.random((130, 70)), 3)
    mask = np.zeros(image.shape, bool)
    mask[20:24, 30:60] = mask[60:68, 10:14] = True
    filling = PlugAndPlay(passes=2, group_size=20, search_radius=5)
    run = restore(image, Inpaint(), filling, mask=mask, tile=TILE, device="cpu")
    filled = run.finish()
    np.testing.assert_array_equal(filled[~mask], image[~mask])
    assert np.abs(filled[mask] - image[mask]).max() < 0.3 * np.ptp(image)
    # One of the six tiles, with its halo, has nothing to fill.
    assert run.record.piece_count == 6
    assert [note for note in run.record.passed_through if "nothing to fill" in note] == run.record.passed_through
    whole_filling = restored(image, Inpaint(keep_known=False), filling, mask=mask, tile=TILE)
    assert (whole_filling[~mask] != image[~mask]).mean() > 0.9


def test_guides_of_all_tiles_are_moved_alike(rng: np.random.Generator) -> None:
    scene = gaussian_filter(rng.random((150, 150)), 2)
    image = scene + 0.01 * rng.standard_normal(scene.shape)
    # The guide is flat where the last tiles are: these alone do not show how far it lies beside the image.
    guide = shift(scene, (3, -2), mode="nearest")
    guide[100:, :] = guide.mean()
    setup = restore(image, Guided(), "nl-ridge", guide=guide, tile=TILE, device="cpu").setup
    assert setup.inputs.guide is not None
    guides = setup.inputs.guide.by_slices(setup.middle_of_slice)
    found = set()
    for piece in reversed(setup.pieces):
        _, measured = setup.measured(piece)
        values, words = guides.of_piece(piece, measured.values, measured.weight, setup.operator, register=True)
        found.add(words)
        # Scaled as all of the guide is: by itself, a part of it would have mean 0 and standard deviation 1.
        assert abs(float(values.std()) - 1) > 0.01
    assert found == {"guide moved by (-3.0, +2.0) pixels"}


def test_tiles_are_taken_where_the_image_does_not_fit_into_the_memory() -> None:
    image = np.random.default_rng(0).normal(size=(300, 900))
    assert restore(image, Denoise(), "nl-ridge", device="cpu").setup.tile is None
    needed = {
        tile: restore(image, Denoise(), "nl-ridge", tile=tile, device="cpu").setup.forecast().memory
        for tile in (None, 512, 256)
    }
    assert needed[None] > needed[512] > needed[256]
    setup = restore(image, Denoise(), "nl-ridge", memory=(needed[512] + needed[256]) // 2, device="cpu").setup
    assert setup.tile in (256, 384)
    assert setup.tile_remark.startswith(f"restored in tiles of {setup.tile} × {setup.tile} pixels: at once it would")
    with pytest.raises(OutOfMemoryError, match=r"needs about .* and may take 0\.0 GiB, which is too little for a tile"):
        restore(image, Denoise(), "nl-ridge", memory="1 MiB", device="cpu")


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        (Look(), {"tile": 20}, "a tile of 20 pixels is too small for a halo and smooth seams: give at least 64"),
        (SuperResolve(factor=1.5), {"tile": 75}, "give a multiple of 2, such as 76"),
        (RemoveArtifacts(), {"tile": 64}, "cannot be restored in tiles: jpeg or quality must be given, else all"),
        (RemoveArtifacts(quality=50), {"tile": 72}, "give a multiple of 16, such as 80"),
        (Look(), {"memory": "much"}, "the memory is 'much': give an amount such as 4GiB or 800MiB"),
        (Look(), {"memory": 0}, "the memory is 0"),
    ],
)
def test_tiles_that_are_not_possible_are_refused_before_a_pixel_is_read(
    task: Task, options: dict[str, Any], message: str
) -> None:
    image = Counting(np.zeros(PLANE, np.uint8))
    with pytest.raises(ValueError, match=message):
        restore(image, task, dimming(), device="cpu", **options)
    assert image.indices == []


@pytest.mark.parametrize(
    ("text", "count"), [("4GiB", 2**32), ("4 GB", 2**32), ("800m", 800 * 2**20), ("1.5K", 1536), (4096, 4096)]
)
def test_amounts_of_memory_are_read_as_people_write_them(text: str | int, count: int) -> None:
    assert bytes_of(text) == count


def test_a_jpeg_is_cut_between_its_blocks(rng: np.random.Generator) -> None:
    image = rng.integers(0, 255, (100, 150)).astype(np.uint8)
    run = restore(image, RemoveArtifacts(quality=50), dimming(), tile=80, device="cpu")
    assert all(at.start % 16 == 0 for piece in run.setup.pieces for at in piece.read)
    run.finish()
    assert run.record.noise is not None
    assert run.record.noise.misfit == "quantised"


def test_a_run_in_tiles_can_be_stopped(rng: np.random.Generator) -> None:
    image = rng.integers(500, 1000, PLANE).astype(np.uint16)
    with restore(image, Look(), dimming(), tile=TILE, device="cpu") as run:
        for step in run:
            if (run.piece_number, step.number) == (2, 2):
                break
    result = result_of(run)
    assert result.missing == len(run.setup.pieces) - 2
    assert result.record.remarks[0] == "the last 7 of 9 tiles were not reached: they are empty (0)"
    assert result.image.shape == PLANE
    assert result.image[:TILE, : 2 * TILE].all()
    assert not result.image[TILE:].any()


def test_of_a_series_the_same_tile_of_all_frames_comes_first() -> None:
    # So that what was found for the neighbours of one frame is there for the next one.
    image = np.zeros((2, *PLANE), np.uint8)
    frames = [piece.place[0] for piece in restore(image, Denoise(), tile=TILE, axes="TYX", device="cpu").setup.pieces]
    assert frames[:4] == [0, 1, 0, 1]


def hungry(limit: int) -> Method:
    """Return a method that dims the image, if it has fewer pixels than a limit; else there is no memory."""

    @dataclass(frozen=True, kw_only=True)
    class Hungry(Method):
        def fit(self, problem: Problem) -> Iterator[Step]:
            for step in dimming().fit(problem):
                yield step
                if problem.measured.numel() > limit:
                    raise torch.OutOfMemoryError("Tried to allocate 2.00 GiB")

        def why_not(self, problem: Problem) -> str:
            return ""

        def memory(self, problem: Problem) -> int:
            return 0

        def seconds(self, problem: Problem) -> float:
            return 0.0

    return Hungry()


@pytest.mark.parametrize("task", [Look(), SuperResolve(factor=2)])
def test_without_memory_for_a_piece_its_halves_are_restored(task: Task, rng: np.random.Generator) -> None:
    image = rng.random((2, 150, 139))
    run = restore(image, task, hungry(130**2), axes="TYX", device="cpu")
    steps = [(run.piece_number, step.number, step.total) for step in run]
    run.close()
    np.testing.assert_allclose(run.image, restored(image, task, axes="TYX"), atol=1e-6)
    remark = "the memory of cpu was not enough: the image was restored in parts of 75 × 75 pixels"
    assert [each for each in run.record.remarks if "memory" in each] == [remark]
    # The second slice is restored in parts at once.
    assert steps[0] == (1, 1, 2)
    assert [step for step in steps if step[0] == 2] == [(2, number, 8) for number in range(1, 9)]


def test_where_the_smallest_part_has_no_memory_the_run_fails_with_a_sentence(rng: np.random.Generator) -> None:
    run = restore(rng.random((300, 280)), Look(), hungry(1000), device="cpu")
    with pytest.raises(OutOfMemoryError, match=r"not enough memory on cpu: the run asked for 2\.00 GiB more"):
        run.finish()
    remarks = [each for each in run.record.remarks if "memory" in each]
    assert [each.split("parts of ")[1] for each in remarks] == ["150 × 150 pixels", "75 × 75 pixels"]
