"""What holds for every run, whatever its task and method: shown with a method that dims the image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import psutil
import pytest
from torch import Tensor

from napari_deep_prior.arrays.frame import MissingPixelsError
from napari_deep_prior.methods import DeepImagePrior
from napari_deep_prior.problem import Problem
from napari_deep_prior.runs.run import restore
from napari_deep_prior.tasks import Denoise, Task

from .toys import Look, dimmed, dimming

Make = Callable[..., DeepImagePrior]


@pytest.fixture
def image(rng: np.random.Generator) -> np.ndarray:
    return (rng.random((9, 11)) * 1000).astype(np.float32)


def test_the_last_step_is_the_answer(image: np.ndarray) -> None:
    run = restore(image, Look(), dimming())
    assert [step.number for step in run] == [1, 2]
    np.testing.assert_allclose(run.image, dimmed(image, 2), rtol=1e-3)


def test_stopping_early_returns_the_image_so_far(image: np.ndarray) -> None:
    for step in (run := restore(image, Look(), dimming())):
        if step.number == 1:
            break
    np.testing.assert_allclose(run.image, dimmed(image, 1), rtol=1e-3)
    run.close()
    np.testing.assert_allclose(run.image, dimmed(image, 1), rtol=1e-3)


def test_a_stopped_run_can_go_on(image: np.ndarray) -> None:
    run = restore(image, Look(), dimming())
    next(run)
    np.testing.assert_allclose(run.finish(), dimmed(image, 2), rtol=1e-3)


def test_a_closed_run_is_over(image: np.ndarray) -> None:
    with restore(image, Look(), dimming()) as run:
        next(run)
    assert list(run) == []
    assert run.show_latest() is None
    assert run.record.chosen_steps == [1]


def test_closing_twice_does_no_harm(image: np.ndarray) -> None:
    run = restore(image, Look(), dimming())
    next(run)
    run.close()
    record = run.record
    run.close()
    assert run.record == record


def test_the_image_of_a_step_is_checked_once_however_often_it_is_asked_for(
    image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    check = Task.checked

    def counted(task: Task, problem: Problem, tensor: Tensor) -> tuple[Tensor, str]:
        found.append(check(task, problem, tensor))
        return found[-1]

    monkeypatch.setattr(Task, "checked", counted)
    run = restore(np.stack([image, image]), Denoise(gain=1.0, sigma=250.0), dimming(), axes="ZYX", device="cpu")
    for number, _ in enumerate(run, start=1):
        np.testing.assert_array_equal(run.image, run.image)
        # What was committed was asked for before.
        assert len(found) == number
    np.testing.assert_array_equal(run.image[1], run.finish()[1])
    assert len(found) == 4


def test_ctrl_c_keeps_the_image_so_far(image: np.ndarray) -> None:
    run = restore(image, Look(), dimming(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run.finish()
    np.testing.assert_allclose(run.image, dimmed(image, 2), rtol=1e-3)


def test_before_the_first_step_the_image_is_the_input(image: np.ndarray) -> None:
    run = restore(image, Look(), dimming())
    np.testing.assert_array_equal(run.image, image)
    assert run.show_latest() is None
    run.close()
    np.testing.assert_array_equal(run.image, image)


def test_the_image_is_a_copy_while_the_run_is_under_way_and_then_the_result_itself(image: np.ndarray) -> None:
    before = image.copy()
    run = restore(image, Look(), dimming())
    next(run)
    run.image[:] = -1
    np.testing.assert_allclose(run.image, dimmed(image, 1), rtol=1e-3)
    result = run.finish()
    assert np.shares_memory(result, run.image)
    assert np.shares_memory(result, run.growing)
    np.testing.assert_array_equal(image, before)


def test_the_result_grows_piece_by_piece_and_takes_the_piece_under_way_when_asked(rng: np.random.Generator) -> None:
    stack = rng.integers(1, 1000, (2, 9, 11)).astype(np.float32)
    run = restore(stack, Look(), dimming(), axes="TYX")
    growing = run.growing
    assert not growing.any()
    next(run)
    # Nothing is converted or copied for those who do not look.
    assert not growing.any()
    assert run.show_latest() == (0, slice(0, 9), slice(0, 11))
    np.testing.assert_allclose(growing[0], dimmed(stack[0], 1), rtol=1e-3, atol=0.1)
    next(run)
    next(run)
    np.testing.assert_allclose(growing[0], dimmed(stack[0], 2), rtol=1e-3, atol=0.1)
    assert not growing[1].any()
    assert run.show_latest()[0] == 1
    np.testing.assert_allclose(growing[1], dimmed(stack[1], 1), rtol=1e-3, atol=0.1)
    assert run.growing is growing


def test_a_result_takes_no_memory_before_it_is_written() -> None:
    stack = np.broadcast_to(np.uint8(1), (64, 2048, 4096))
    before = psutil.Process().memory_info().rss
    run = restore(stack, Look(), dimming(), axes="TYX", device="cpu")
    assert run.growing.shape == stack.shape
    assert psutil.Process().memory_info().rss - before < 0.5 * stack.size


def test_missing_pixels_are_refused_at_once_and_filled_on_request(image: np.ndarray) -> None:
    image[4, 5:8] = np.nan
    image[0, 0] = np.inf
    with pytest.raises(MissingPixelsError, match="4 of 99 pixels"):
        restore(image, Look(), dimming())
    image = restore(image, Denoise(missing="fill"), dimming()).finish()
    assert np.isfinite(image).all()


def test_a_constant_image_is_refused() -> None:
    with pytest.raises(ValueError, match="constant"):
        restore(np.full((9, 9), 3, np.uint8), Look(), dimming()).finish()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float16", "float32", "float64"])
def test_the_result_has_the_type_of_the_input_or_single_precision(image: np.ndarray, dtype: str) -> None:
    image = (image / 5).astype(dtype)
    same = restore(image, Look(), dimming()).finish()
    single = restore(image, Look(), dimming(), dtype="float32").finish()
    assert same.dtype == image.dtype
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, dimmed(image.astype(np.float64), 2), rtol=1e-3, atol=0.1)
    np.testing.assert_allclose(same.astype(float), single, atol=20 if dtype.startswith(("uint", "int")) else 0.1)


@pytest.mark.parametrize(("noise", "shift"), [("gaussian", -7.0), ("auto", 0.0)])
def test_an_affine_change_of_the_input_changes_the_output_in_the_same_way(
    noisy: np.ndarray, tiny: Make, noise: str, shift: float
) -> None:
    # With photon noise only a change of the unit is none of the image: zero light has a grey level.
    image = noisy[:24, :24].astype(np.float64)
    method = tiny(steps=30)
    plain = restore(image, Denoise(noise=noise), method, device="cpu").finish()
    changed = restore(1e-3 * image + shift, Denoise(noise=noise), method, device="cpu").finish()
    np.testing.assert_allclose(changed, 1e-3 * plain + shift, atol=1e-3 * 1e-3 * float(np.ptp(image)))


def test_the_noise_is_estimated_once_and_recorded(noisy: np.ndarray) -> None:
    run = restore(noisy, Look(), dimming(), device="cpu")
    assert run.record.noise is None
    run.finish()
    noise = run.record.noise
    assert noise.misfit in ("gaussian", "anscombe")
    assert noise.in_words == noise.channels[0].in_words()
