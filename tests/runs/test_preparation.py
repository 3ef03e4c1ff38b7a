"""What all pieces share, from the estimate to the result: stacks with dark slices, photon counts, impossible noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from napari_deep_prior.arrays.metrics import psnr
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.methods import NLRidge
from napari_deep_prior.physics.kernels import Kernel
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.operators import Identity, Operator
from napari_deep_prior.runs import restore
from napari_deep_prior.runs.preparation import look_ahead
from napari_deep_prior.runs.recommend import Wish
from napari_deep_prior.runs.restoration import Restoration
from napari_deep_prior.runs.run_options import RunOptions
from napari_deep_prior.runs.setup import Setup, set_up
from napari_deep_prior.tasks import Denoise, Inpaint, SuperResolve, Task
from napari_deep_prior.tasks.inputs import Inputs
from napari_deep_prior.tasks.task import Measured, Posed, Prepared, TaskWithGuide

from .toys import Counting, dimming

CAMERA = Camera()
ROWS, COLUMNS = np.mgrid[:40, :40]
SCENE = 60 + 55 * np.sin(ROWS / 12) * np.cos(COLUMNS / 15)


def ready(image: object, task: Task | None = None, **options: object) -> Setup:
    wish = Wish(method="nl-ridge", effort="", settings=NLRidge())
    return set_up(image, task or Denoise(), wish, {}, RunOptions(device="cpu", **options))


def restored(image: object, task: Task | None = None, **options: object) -> Restoration:
    run = restore(image, task or Denoise(), NLRidge(), device="cpu", **options)
    for _ in run:
        pass
    run.close()
    return run


# Dark slices


@pytest.mark.parametrize(("light", "axes", "lazy"), [(0.0, "ZYX", False), (1e-3, "TYX", True), (0.02, "ZYX", True)])
def test_a_lit_slice_is_restored_as_well_as_without_dark_ones(light: float, axes: str, lazy: bool) -> None:
    generator = np.random.default_rng(0)
    stack = np.stack([CAMERA.expose(strength * SCENE, generator) for strength in (light, light, 1)])
    truth = CAMERA.expected(SCENE)
    run = restored(Counting(stack) if lazy else stack, axes=axes)
    with_dark, alone = (psnr(image, truth, span=np.ptp(truth)) for image in (run.image[2], restored(stack[2]).image))
    assert with_dark > alone - 0.3
    assert with_dark > psnr(stack[2], truth, span=np.ptp(truth)) + 5
    assert run.record.passed_through == []


def test_a_slice_with_hardly_any_light_gets_the_noise_of_the_others() -> None:
    generator = np.random.default_rng(0)
    photons = np.stack([generator.poisson(light * SCENE) for light in (5e-4, 1)]).astype(np.uint16)
    assert 0 < photons[0].sum() < 100
    run = restored(photons, axes="ZYX", dtype="float32")
    assert (run.image != photons).mean(axis=(1, 2)).min() > 0.5
    assert run.image[0].sum() == pytest.approx(photons[0].sum(), rel=0.3, abs=10)


def test_each_channel_has_the_noise_of_its_lit_slices() -> None:
    generator = np.random.default_rng(0)
    stack = np.stack(
        [
            [CAMERA.expose(a * SCENE, generator), CAMERA.expose(b * SCENE, generator)]
            for a, b in ((0, 1), (1, 0), (1, 1))
        ]
    )
    noise = look_ahead(ready(stack, axes="ZCYX")).preparation.prepared.noise
    for model in noise:
        assert model.variance(300) == pytest.approx(CAMERA.gain * 200 + CAMERA.read_noise**2, rel=0.3)


@dataclass(frozen=True, kw_only=True)
class Looking(TaskWithGuide):
    """A task that notes which piece it is shown."""

    command = "look"
    result = "seen"
    looks_at_image = True
    keeps_known = False
    neighbour_count = 0
    seen: ClassVar[list[int]] = []

    def operator(self, axes: str, kernel: Kernel | None) -> Operator:
        return Identity()

    def prepare(self, first: Measured, noise: tuple[NoiseModel, ...], inputs: Inputs) -> Prepared:
        self.seen.append(first.piece.number)
        return Prepared(Identity(), noise)

    def problem(self, measured: Measured, prepared: Prepared, inputs: Inputs) -> Posed:
        return self.pose(measured, prepared, inputs)


@pytest.mark.parametrize("brightest", [0, 1, 2])
def test_what_a_task_sees_of_the_image_it_sees_in_the_brightest_slice(brightest: int) -> None:
    stack = np.stack([CAMERA.expose(light * SCENE, np.random.default_rng(0)) for light in (0.1, 0.1, 0.1)])
    stack[brightest] = CAMERA.expose(SCENE, np.random.default_rng(1))
    lazy = Counting(stack)
    run = restore(lazy, Looking(), dimming(), axes="ZYX", device="cpu")
    next(run)
    assert Looking.seen.pop() == brightest
    # The first slice, windows of all three, and the brightest one, unless that is the first.
    assert lazy.count == (4 + (brightest != 0)) * stack[0].size


# Photon counts


@pytest.mark.parametrize(
    ("mean", "dtype", "axes"), [(0.1, "uint16", "YX"), (0.24, "uint8", "CYX"), (0.8, "int32", "ZYX")]
)
def test_no_light_is_lost_to_rounding(mean: float, dtype: str, axes: str) -> None:
    scene = np.broadcast_to(SCENE / SCENE.mean() * mean, (*(2,) * (len(axes) - 2), 40, 40))[..., :32, :32]
    image = np.random.default_rng(0).poisson(scene).astype(dtype)
    run = restored(image, axes=axes)
    assert run.image.dtype == np.float32
    assert run.record.dtype == "float32"
    assert f"the result is float32: {dtype} would round away" in " ".join(run.record.remarks)
    assert run.image.sum() == pytest.approx(image.sum(), rel=0.1)


def test_who_asks_for_single_precision_is_told_nothing() -> None:
    image = np.random.default_rng(0).poisson(0.3, (24, 24)).astype(np.uint8)
    run = restore(image, Denoise(), dimming(), dtype="float32", device="cpu")
    run.finish()
    assert not any("the result is" in remark for remark in run.record.remarks)


def test_what_grows_and_what_is_shown_have_the_type_of_the_result_from_the_first_step_on() -> None:
    image = np.random.default_rng(0).poisson(0.1, (2, 24, 24)).astype(np.uint8)
    run = restore(image, Denoise(), dimming(), axes="ZYX", device="cpu")
    np.testing.assert_array_equal(run.image, image)
    next(run)
    growing = run.growing
    assert growing[run.show_latest()].dtype == np.float32
    np.testing.assert_array_equal(run.image[1], image[1])
    run.finish()
    assert run.growing is growing
    assert run.image.dtype == np.float32


def test_slices_that_passed_through_before_the_type_was_known_stay() -> None:
    image = np.random.default_rng(0).poisson(0.1, (3, 24, 24)).astype(np.uint8)
    image[:2] = 7
    run = restored(image, axes="ZYX")
    assert run.image.dtype == np.float32
    np.testing.assert_array_equal(run.image[:2], image[:2])
    assert run.record.chosen_steps[:2] == [None, None]


def test_filled_pixels_of_photon_counts_are_not_rounded_and_known_ones_stay() -> None:
    image = np.random.default_rng(0).poisson(0.4, (32, 32)).astype(np.uint8)
    mask = np.zeros(image.shape, bool)
    mask[10:16, 6:26] = True
    run = restore(image, Inpaint(), "plug-and-play", effort="fast", mask=mask, device="cpu")
    filled = run.finish()
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(filled[~mask], image[~mask])
    assert 0.1 < filled[mask].mean() < 0.9


@pytest.mark.parametrize("dtype", ["same", "float32"])
def test_light_of_a_nearly_dark_slice_that_is_rounded_away_is_told_with_the_remedy(dtype: str) -> None:
    generator = np.random.default_rng(0)
    stack = generator.poisson(60_000 * SCENE / SCENE.max() * np.ones((3, 1, 1))).astype(np.uint16)
    stack[1] = 0
    stack[1].flat[generator.choice(stack[1].size, 20, replace=False)] = 1
    warning = look_ahead(ready(stack, axes="ZYX", dtype=dtype)).preparation.warning
    run = restored(stack, axes="ZYX", dtype=dtype)
    told = [remark for remark in run.record.remarks if "too faint" in remark]
    if dtype == "float32":
        assert told == []
        assert warning == ""
        assert run.image[1].sum() == pytest.approx(20, rel=0.3)
    else:
        assert run.image.dtype == np.uint16
        assert run.image[1].sum() < 15
        assert told[0].startswith("the light of slice 2 is too faint for uint16: rounding has made a mean of 0.01")
        assert "choose float32 as the type of the result" in told[0]
        assert warning.startswith("the light at Z 2 is too faint for uint16: rounding may make a mean of 0.01")
        assert warning not in told


def test_a_dark_slice_of_a_stack_without_noise_is_not_rounded_and_nothing_is_said() -> None:
    clean = 20_000 * cells((64, 64)) / cells((64, 64)).max()
    stack = np.stack([clean] * 3).astype(np.uint16)
    stack[1] = 0
    stack[1, ::12, ::12] = 1
    preparation = look_ahead(ready(stack, axes="ZYX")).preparation
    assert all(model.noiseless for model in preparation.prepared.noise)
    assert preparation.warning == ""
    np.testing.assert_array_equal(restored(stack, axes="ZYX").image, stack)


def test_of_dark_slices_with_the_offset_of_a_camera_no_light_is_missed() -> None:
    generator = np.random.default_rng(0)
    stack = np.stack([CAMERA.expose(strength * SCENE, generator) for strength in (0, 1, 100)])
    stack = stack.astype(np.uint16)
    assert look_ahead(ready(stack, axes="ZYX")).preparation.warning == ""
    assert not any("too faint" in remark for remark in restored(stack, axes="ZYX").record.remarks)


def test_colours_keep_their_type() -> None:
    image = np.random.default_rng(0).poisson(0.4, (24, 24, 3)).astype(np.uint8)
    assert restore(image, Denoise(), dimming(), axes="YXS", device="cpu").finish().dtype == np.uint8


# Noise that was given


@pytest.mark.parametrize("given", [{"sigma": 1e6}, {"offset": 1e5}, {"gain": 1e6}])
def test_impossible_noise_is_refused_before_the_first_step(given: dict[str, float]) -> None:
    image = CAMERA.expose(SCENE, np.random.default_rng(0))
    with pytest.raises(ValueError, match="leave it out to be estimated"):
        ready(image, Denoise(**given))
    # Of a lazy array nothing is read before it is looked at.
    lazy = ready(Counting(image), Denoise(**given))
    with pytest.raises(ValueError, match="leave it out to be estimated"):
        look_ahead(lazy)
    with pytest.raises(ValueError, match="leave it out to be estimated"):
        next(Restoration(lazy))


def test_noise_that_is_hardly_true_is_said_in_the_record() -> None:
    image = CAMERA.expose(SCENE, np.random.default_rng(0))
    run = restore(image, Denoise(sigma=1.5 * float(image.std())), dimming(), device="cpu")
    next(run)
    assert run.record.remarks[0].startswith("the noise that was given is hardly true: with sigma ")


# Before the first step


def test_what_is_known_before_the_first_step_is_what_the_run_takes() -> None:
    setup = ready(np.stack([np.zeros((24, 24)), np.random.default_rng(0).normal(100, 5, (24, 24))]), axes="ZYX")
    outlook = look_ahead(setup)
    run = Restoration(setup, outlook.preparation)
    next(run)
    assert run.record.noise.channels == outlook.preparation.prepared.noise
    assert outlook.noise == f"Noise: {run.record.noise.in_words}."
    assert outlook.plan.choice.method == run.record.method


def test_a_stack_without_anything_to_restore_has_a_plan_and_no_noise() -> None:
    outlook = look_ahead(ready(np.arange(2.0)[:, None, None].repeat(9, 1).repeat(9, 2), axes="ZYX"))
    assert outlook.preparation is None
    assert outlook.noise == ""
    assert outlook.plan.seconds > 0


def test_super_resolution_looks_at_the_image_and_what_needs_only_the_noise_does_not() -> None:
    assert SuperResolve().looks_at_image
    assert not Denoise().looks_at_image
