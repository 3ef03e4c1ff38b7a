from __future__ import annotations

import dataclasses
import functools
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from napari_deep_prior import (
    Denoise,
    Guided,
    Inpaint,
    NLRidge,
    PlugAndPlay,
    SelfDistillation,
    SuperResolve,
    restore,
)
from napari_deep_prior.arrays.pieces import plan
from napari_deep_prior.cli.main import DONE, FAILED, main
from napari_deep_prior.files import images as io
from napari_deep_prior.methods.guidance import GuideComparison
from napari_deep_prior.networks import Hourglass
from napari_deep_prior.patches.patch_denoising import estimate_count
from napari_deep_prior.physics.kernels import Area
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.operators import Downsample, Identity
from napari_deep_prior.runs.efforts import TABLE, name_of, settings_for
from napari_deep_prior.runs.recommend import Wish, recommend
from napari_deep_prior.tasks.guides import Guides

from ..records import settings_of

Capture = pytest.CaptureFixture[str]

SHARED = ((18, 18), (20, 50), (48, 20), (75, 75), (72, 45), (45, 70))
ONLY_IN_TARGET, ONLY_IN_GUIDE = (20, 78), (75, 18)
SIDE = 96


def discs(places: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Return soft discs of about 7 pixels' radius, of height 1."""
    grid = np.mgrid[:SIDE, :SIDE]
    radii = [np.hypot(grid[0] - row, grid[1] - column) for row, column in places]
    return sum(1 / (1 + np.exp((radius - 7 - number % 3) / 0.6)) for number, radius in enumerate(radii))


# Fine and irregular: no denoiser finds it in the noise without the guide.
TEXTURE = gaussian_filter(np.random.default_rng(2).normal(size=(SIDE, SIDE)), 1.5)
TEXTURE *= 2.5 / TEXTURE.std()
TRUTH = 24 + 15 * discs((*SHARED, ONLY_IN_TARGET)) + TEXTURE
NOISY = np.random.default_rng(0).poisson(TRUTH).astype(np.float32)
GUIDE = 300 - 90 * discs((*SHARED, ONLY_IN_GUIDE)) - 6 * TEXTURE + np.random.default_rng(1).normal(0, 0.5, (SIDE, SIDE))
QUICK = dataclasses.replace(settings_for(Guided(), "deep-image-prior"), steps=250)
SMALLER = Hourglass(channels=(16,) * 3, skip=(2,) * 3)
PUBLISHED = settings_for(Guided(), "deep-image-prior", "published")


def error(image: np.ndarray) -> float:
    return float(np.sqrt(np.mean((image - TRUTH) ** 2)))


def contrast(image: np.ndarray, place: tuple[int, int]) -> float:
    """Return how much brighter the middle of a disc is than a ring around it."""
    grid = np.mgrid[:SIDE, :SIDE]
    radius = np.hypot(grid[0] - place[0], grid[1] - place[1])
    return float(image[radius < 5].mean() - image[(radius > 11) & (radius < 14)].mean())


def compared(guide: np.ndarray, *, register: bool = True) -> tuple[np.ndarray, str]:
    run = restore(NOISY, Guided(register=register), NLRidge(), guide=guide, device="cpu")
    return run.finish(), "; ".join(run.record.remarks)


@pytest.fixture
def smaller_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets fits with a guide have three scales and 150 steps: how good they are as they are is shown by ``helped``."""
    smaller = dataclasses.replace(QUICK, steps=150, patience=40, averaging=0.95, network=SMALLER)
    monkeypatch.setitem(TABLE["guide"], "deep-image-prior", {"balanced": smaller})


@functools.cache
def unguided() -> np.ndarray:
    return restore(NOISY, Denoise(), NLRidge(), device="cpu").finish()


@pytest.fixture(scope="module")
def helped() -> tuple[np.ndarray, str]:
    return compared(GUIDE)


@pytest.mark.slow
def test_a_guide_of_the_same_place_makes_the_image_better_and_the_record_says_so(helped: Any) -> None:
    image, words = helped
    assert error(image) < 0.95 * error(unguided())
    assert "the guide helped by " in words


@pytest.mark.slow
def test_what_only_the_guide_shows_does_not_appear(helped: Any) -> None:
    assert abs(contrast(helped[0], ONLY_IN_GUIDE)) < 0.1 * contrast(TRUTH, SHARED[0])


@pytest.mark.slow
def test_what_only_the_image_shows_survives(helped: Any) -> None:
    assert contrast(helped[0], ONLY_IN_TARGET) > 0.85 * contrast(TRUTH, ONLY_IN_TARGET)


@pytest.mark.slow
def test_a_guide_of_another_place_leaves_the_result_as_it_is_without_one() -> None:
    image, words = compared(np.rot90(GUIDE).copy())
    np.testing.assert_array_equal(image, unguided())
    assert words.startswith("guide taken as it lies, no shift found; the guide did not help more than chance would")
    assert words.endswith(": the result is without it")


@pytest.mark.slow
def test_a_shifted_guide_is_found_and_still_helps() -> None:
    image, words = compared(np.roll(GUIDE, (8, -4), axis=(0, 1)))
    assert words.startswith("guide moved by (-")
    assert error(image) < 0.97 * error(unguided())


@pytest.mark.usefixtures("smaller_network")
def test_a_shifted_guide_that_is_not_registered_does_no_harm() -> None:
    image, words = compared(np.roll(GUIDE, 8, axis=0), register=False)
    assert "moved" not in words
    assert error(image) < 1.01 * error(unguided())


# What is computed


def test_a_method_that_takes_no_guide_is_helped_by_the_deep_image_prior(pose: Any) -> None:
    problem = dataclasses.replace(pose(NOISY), guide=torch.zeros(1, 1, SIDE, SIDE))
    other = settings_for(Guided(), "deep-image-prior")
    for method, guided in ((SelfDistillation(seed=5), dataclasses.replace(other, seed=5)), (QUICK, QUICK)):
        choice = recommend(Guided(), problem, Wish(method=name_of(method), settings=method))
        assert (choice.method, choice.guided) == (method, guided)


def test_steps_are_counted_through_and_stopping_keeps_the_mixture(pose: Any) -> None:
    problem = dataclasses.replace(
        pose(NOISY, noise=[NoiseModel(gain=1.0)]),
        guide=torch.rand(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0)),
    )
    comparison = GuideComparison(NLRidge(), dataclasses.replace(QUICK, steps=4))
    assert comparison.gain is None
    steps = list(comparison.fit(problem))
    numbers = [step.number for step in steps]
    # Those of similar patches, four with the guide, and patches again since noise is no help.
    patches = estimate_count(problem)
    total = patches + 4 + patches
    assert numbers == [*range(1, total + 1), total]
    assert all(step.number <= step.total for step in steps)
    assert comparison.gain is not None
    assert not comparison.helped
    assert steps[-2].criterion_name == "held-out error"


def test_the_papers_flash_has_no_noise_beside_the_guide_and_is_believed() -> None:
    paper = dataclasses.replace(
        PUBLISHED,
        steps=2,
        network=dataclasses.replace(QUICK.network, channels=(8, 8), skip=(2, 2)),
    )
    run = restore(NOISY[:32, :32], Guided(), paper, guide=GUIDE[:32, :32], device="cpu")
    assert run.finish().shape == (32, 32)
    assert re.fullmatch("guide .*; whether the guide helped was not compared", run.record.remarks[0])
    unmoved = restore(NOISY[:32, :32], Guided(register=False), paper, guide=GUIDE[:32, :32], device="cpu")
    unmoved.finish()
    assert unmoved.record.remarks[0] == "whether the guide helped was not compared"
    with pytest.raises(ValueError, match="the network has no input"):
        restore(NOISY[:32, :32], Denoise(), paper, device="cpu").finish()


def test_holes_are_filled_with_the_help_of_a_guide_and_known_pixels_stay() -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[14:24, 10:26] = True
    method = PlugAndPlay(passes=2)
    run = restore(TRUTH.astype(np.float32), Inpaint(), method, mask=mask, guide=GUIDE, device="cpu")
    for step in run:
        if step.number == 10:
            break
    run.close()
    np.testing.assert_array_equal(run.image[~mask], TRUTH.astype(np.float32)[~mask])
    assert np.isfinite(run.image).all()


@pytest.mark.parametrize("finer", [False, True])
def test_an_enlarged_image_takes_guides_of_its_own_size_or_of_the_results(finer: bool) -> None:
    small = restore(NOISY, SuperResolve(), PlugAndPlay(passes=1), guide=[], device="cpu")
    assert small.shape == (192, 192)
    guide = GUIDE.repeat(2, 0).repeat(2, 1) if finer else GUIDE
    run = restore(NOISY, SuperResolve(), PlugAndPlay(passes=1), guide=guide, device="cpu")
    next(run)
    run.close()
    assert run.image.shape == (192, 192)


# Shapes


def guides_of(guide: np.ndarray, axes: str, shape: tuple[int, ...], enlarged: tuple[int, ...] | None = None) -> Guides:
    return Guides([guide], axes=axes, shape=shape, enlarged=enlarged or shape)


@pytest.mark.parametrize(
    ("shape", "axes", "given", "channels"),
    [
        ((7, 9), "YX", (7, 9), 1),
        ((7, 9), "YX", (7, 9, 3), 3),
        ((7, 9), "YX", (7, 9, 4), 3),
        ((7, 9, 3), "YXS", (7, 9), 1),
        ((2, 7, 9), "CYX", (7, 9), 1),
        ((4, 7, 9), "TYX", (4, 7, 9), 1),
        ((4, 7, 9), "TYX", (7, 9), 1),
        ((4, 5, 7, 9), "TZYX", (5, 7, 9, 2), 1),
        ((4, 2, 7, 9), "TCYX", (4, 7, 9), 1),
    ],
)
def test_guides_have_the_shape_of_the_image_of_its_volumes_or_planes(
    shape: tuple[int, ...], axes: str, given: tuple[int, ...], channels: int
) -> None:
    guide = np.random.default_rng(0).normal(size=given)
    assert guides_of(guide, axes, shape).channels == channels


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_guides_of_a_stack_are_checked_without_a_copy_of_them(dtype: str) -> None:
    guide = (1000 * np.random.default_rng(0).random((32, 128, 128))).astype(dtype)
    tracemalloc.start()
    Guides([guide], axes="ZYX", shape=guide.shape, enlarged=guide.shape)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.2 * guide.nbytes


def test_slices_get_their_part_normalised_and_channels_that_show_nothing_are_zero() -> None:
    stack = np.random.default_rng(0).normal(50, 4, (3, 12, 13))
    stack[2] = np.nan
    guides, pieces = guides_of(stack, "TYX", (3, 12, 13)), plan((3, 12, 13), "TYX")
    measured = torch.from_numpy(np.random.default_rng(1).random((1, 1, 12, 13), np.float32))
    everywhere = torch.ones_like(measured)
    for number in range(2):
        guide, found = guides.of_piece(pieces[number], measured, everywhere, Identity(), register=False)
        part = stack[number]
        np.testing.assert_allclose(guide[0, 0].numpy(), (part - part.mean()) / part.std(), atol=1e-5)
        assert found == ""
    nothing, _ = guides.of_piece(pieces[2], measured, everywhere, Identity(), register=False)
    assert not nothing.any()


def test_a_plane_guides_a_volume_at_every_depth() -> None:
    plane = np.random.default_rng(0).normal(size=(12, 13))
    guides, (piece,) = guides_of(plane, "ZYX", (4, 12, 13)), plan((4, 12, 13), "ZYX", volume=True)
    measured = torch.from_numpy(np.random.default_rng(1).random((1, 1, 4, 12, 13), np.float32))
    guide, _ = guides.of_piece(piece, measured, torch.ones_like(measured), Identity(), register=False)
    assert guide.shape == (1, 1, 4, 12, 13)
    np.testing.assert_array_equal(guide[0, 0, 0].numpy(), guide[0, 0, 3].numpy())


def test_a_guide_on_the_pixels_of_an_enlarged_image_is_interpolated() -> None:
    plane = np.random.default_rng(0).normal(size=(12, 13))
    operator = Downsample((2.0, 2.0), Area())
    guides, (piece,) = guides_of(plane, "YX", (12, 13), (24, 26)), plan((12, 13), "YX", factors={"Y": 2, "X": 2})
    measured = torch.from_numpy(np.random.default_rng(1).random((1, 1, 12, 13), np.float32))
    guide, _ = guides.of_piece(piece, measured, torch.ones_like(measured), operator, register=True)
    assert guide.shape == (1, 1, 24, 26)


# Bad input


@pytest.mark.parametrize(
    ("task", "guide", "message"),
    [
        (Guided(), [], r"^'guide' needs a guide, and none was given: give one, or choose 'denoise'$"),
        (
            Guided(),
            np.zeros((5, 6)),
            r"guide has shape \(5, 6\); the image's is \(96, 96\): give a guide of that shape",
        ),
        (Guided(), GUIDE[None], r"guide has shape \(1, 96, 96\); the image's is \(96, 96\)"),
        (Guided(), np.full((SIDE, SIDE), 3), r"guide shows nothing, all of its pixels are equal"),
        (Guided(), np.full((SIDE, SIDE), np.nan), r"guide shows nothing"),
        (Guided(), GUIDE.astype(str), r"guide has pixels of type <U\d+: real numbers are needed"),
        (Denoise(), NOISY, r"guide is a copy of the image, noise and all: choose another"),
        (Guided(), 5 - 3 * NOISY, r"guide is a copy of the image"),
    ],
)
def test_guides_that_do_not_fit_are_refused(task: Any, guide: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(restore(NOISY, task, NLRidge(), guide=guide, device="cpu"))


# The command line


FEW = ["--method", "deep-image-prior", "--channels", "8,8", "--skip", "2,2", "--code-channels", "4", "--steps", "20"]
OPTIONS = [*FEW, "--precision", "float32", "--device", "cpu"]
PLACE = (slice(8, 40), slice(8, 36))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has in.ome.tif, 32 × 28 pixels of 0.2 µm, guide.tif of the same place, and more; is the current folder."""
    monkeypatch.chdir(tmp_path)
    dim = NOISY[PLACE].astype(np.uint16)
    spacing = {"Y": 0.2, "X": 0.2}
    io.write("in.ome.tif", io.ImageFile(pixels=dim, axes="YX", spacing=spacing, units=dict.fromkeys("YX", "µm")))
    guide = GUIDE[PLACE].astype(np.float32)
    tifffile.imwrite("guide.tif", guide)
    tifffile.imwrite("other.tif", guide[::-1, ::-1].copy())
    tifffile.imwrite("small.tif", guide[:-1])
    tifffile.imwrite("flat.tif", np.full_like(guide, 3))
    tifffile.imwrite("scaled.tif", (900 - 2.5 * dim).astype(np.float32))
    tints = np.stack([dim, dim // 2 + 9, 90 - dim], axis=-1).astype(np.uint8)
    Image.fromarray(tints).save("colours.png")
    bright = np.stack([guide, guide.max() - guide, guide / 2], axis=-1).clip(0, 255).astype(np.uint8)
    Image.fromarray(bright).save("bright.png")
    return tmp_path


def guide_by(*arguments: str) -> int:
    return main(["guide", *OPTIONS, *arguments])


@pytest.mark.parametrize("guides", [["guide.tif"], ["guide.tif", "other.tif"], ["guide.tif", "bright.png"]])
def test_the_command_takes_one_guide_or_several(folder: Path, capsys: Capture, guides: list[str]) -> None:
    given = [part for name in guides for part in ("--guide", name)]
    assert guide_by("in.ome.tif", "out.tif", *given) == DONE
    before, after = io.read("in.ome.tif"), io.read("out.tif")
    assert (after.axes, after.pixels.shape, after.pixels.dtype) == ("YX", (32, 28), np.uint16)
    assert after.spacing == pytest.approx(before.spacing)
    (remark,) = after.record["remarks"]
    assert re.search(
        r"the guide (helped by .*: (it removed|what is left)|did not help more than chance would: the result)", remark
    )
    assert remark in capsys.readouterr().err.splitlines()
    task, method = settings_of(after.record)
    assert task == Guided()
    images = [io.read(name).pixels for name in guides]
    again = restore(before.pixels, task, method, guide=images, device="cpu").finish()
    np.testing.assert_array_equal(after.pixels, again)


@pytest.mark.parametrize(
    ("image", "guide", "axes"), [("in.ome.tif", "bright.png", "YX"), ("colours.png", "guide.tif", "YXS")]
)
def test_a_guide_in_colour_and_one_for_an_image_in_colour(folder: Path, image: str, guide: str, axes: str) -> None:
    assert guide_by(image, "out.tif", "--guide", guide) == DONE
    before, after = io.read(image), io.read("out.tif")
    assert (after.axes, after.pixels.shape, after.pixels.dtype) == (axes, before.pixels.shape, before.pixels.dtype)
    assert "guide" in after.record["remarks"][-1]


def test_a_picture_in_colour_cannot_guide_itself(folder: Path, capsys: Capture) -> None:
    assert guide_by("colours.png", "out.tif", "--guide", "colours.png") == FAILED
    assert "the guide is a copy of the image, noise and all" in capsys.readouterr().err
    assert not Path("out.tif").exists()


def test_channels_of_a_guide_may_stand_first(folder: Path) -> None:
    bright = io.read("bright.png").pixels
    channels = io.ImageFile(pixels=np.moveaxis(bright, -1, 0), axes="CYX")
    io.write("channels.ome.tif", channels)
    assert guide_by("in.ome.tif", "out.tif", "--guide", "channels.ome.tif") == DONE
    assert guide_by("in.ome.tif", "again.tif", "--guide", "bright.png") == DONE
    np.testing.assert_array_equal(io.read("out.tif").pixels, io.read("again.tif").pixels)


def test_a_plane_guides_every_frame_and_other_tasks_take_guides_too(folder: Path) -> None:
    frames = np.random.default_rng(0).poisson(TRUTH[PLACE], (2, 32, 28)).astype(np.uint16)
    tifffile.imwrite("frames.tif", frames)
    assert main(["denoise", "frames.tif", "out.tif", "--axes", "TYX", "--guide", "guide.tif", *OPTIONS]) == DONE
    after = io.read("out.tif")
    assert (after.axes, after.pixels.shape) == ("TYX", (2, 32, 28))
    assert len(after.record["chosen_steps"]) == 2
    # The others are on the neighbouring frames.
    assert any("the guide" in remark for remark in after.record["remarks"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "'guide' needs a guide, and none was given: give one, or choose 'denoise'$"),
        (["--guide", "missing.tif"], "there is no file 'missing.tif'$"),
        (["--guide", "text.tif"], "cannot read 'text.tif' as an image"),
        (["--guide", "small.tif"], r"the guide has shape \(31, 28\); the image's is \(32, 28\): give a guide of that"),
        (["--guide", "guide.tif", "--guide", "small.tif"], r"the guide has shape \(31, 28\); the image's is"),
        (["--guide", "flat.tif"], "the guide shows nothing, all of its pixels are equal: choose another image$"),
        (["--guide", "in.ome.tif"], "the guide is a copy of the image, noise and all: choose another image of the"),
        (["--guide", "guide.tif", "--guide", "in.ome.tif"], "the guide is a copy of the image, noise and all"),
        (["--guide", "scaled.tif"], "the guide is a copy of the image, noise and all: choose another image"),
        (["--guide", "guide.tif", "--steps", "0"], "steps is 0; it must lie between 1"),
    ],
)
def test_guides_that_do_not_fit_get_one_sentence(
    folder: Path, capsys: Capture, arguments: list[str], sentence: str
) -> None:
    Path("text.tif").write_text("no image")
    assert guide_by("in.ome.tif", "out.tif", *arguments) == FAILED
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(f"^deep-prior: {sentence}", said), said
    assert not Path("out.tif").exists()
