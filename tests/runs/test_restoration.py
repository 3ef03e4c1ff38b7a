from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from napari_deep_prior.runs.presets import preset

from napari_deep_prior.arrays.frame import MissingPixelsError
from napari_deep_prior.methods import DeepImagePrior, Method
from napari_deep_prior.networks import Hourglass
from napari_deep_prior.problem import Problem, Step
from napari_deep_prior.runs.errors import OutOfMemoryError, RestorationError
from napari_deep_prior.runs.restoration import VERSION, name_of_result, restore
from napari_deep_prior.tasks import Denoise, Inpaint, SuperResolve, from_record

Make = Callable[..., DeepImagePrior]
Run = Callable[..., subprocess.CompletedProcess[str]]


def dimming(error: BaseException | None = None) -> Method:
    """Return a method whose k-th step is the measurement times 1 - k / 10; after two of them it fails."""

    @dataclass(frozen=True, kw_only=True)
    class Dimming(Method):
        def fit(self, problem: Problem) -> Iterator[Step]:
            for number in (1, 2):
                yield Step(
                    number=number,
                    total=2,
                    loss=torch.zeros(()),
                    criterion=None,
                    criterion_name="",
                    chosen=torch.tensor(number),
                    image=problem.measured * (1 - number / 10),
                )
            if error is not None:
                raise error

        def memory(self, problem: Problem) -> int:
            return 0

    return Dimming()


def dimmed(image: np.ndarray, number: int) -> np.ndarray:
    """Return what :func:`dimming` makes of an image in its ``number``-th step."""
    low, span = image.min(), np.ptp(image)
    canonical = (image - low) / span * 0.9 + 0.05
    return (canonical * (1 - number / 10) - 0.05) / 0.9 * span + low


@pytest.fixture
def picture(rng: np.random.Generator) -> np.ndarray:
    return (rng.random((9, 11)) * 1000).astype(np.float32)


def test_the_last_step_is_the_answer(picture: np.ndarray) -> None:
    run = restore(picture, Denoise(), dimming())
    assert [step.number for step in run] == [1, 2]
    np.testing.assert_allclose(run.image, dimmed(picture, 2), rtol=1e-3)


def test_stopping_early_returns_the_image_so_far(picture: np.ndarray) -> None:
    for step in (run := restore(picture, Denoise(), dimming())):
        if step.number == 1:
            break
    np.testing.assert_allclose(run.image, dimmed(picture, 1), rtol=1e-3)
    run.close()
    np.testing.assert_allclose(run.image, dimmed(picture, 1), rtol=1e-3)


def test_a_stopped_run_can_go_on(picture: np.ndarray) -> None:
    run = restore(picture, Denoise(), dimming())
    next(run)
    np.testing.assert_allclose(run.finish(), dimmed(picture, 2), rtol=1e-3)


def test_a_closed_run_is_over(picture: np.ndarray) -> None:
    with restore(picture, Denoise(), dimming()) as run:
        next(run)
    assert list(run) == []
    assert run.latest_slice is None
    assert run.record["chosen step"] == 1


def test_closing_twice_does_no_harm(picture: np.ndarray) -> None:
    run = restore(picture, Denoise(), dimming())
    next(run)
    run.close()
    record = run.record
    run.close()
    assert run.record == record


def test_ctrl_c_keeps_the_image_so_far(picture: np.ndarray) -> None:
    run = restore(picture, Denoise(), dimming(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run.finish()
    np.testing.assert_allclose(run.image, dimmed(picture, 2), rtol=1e-3)


def test_before_the_first_step_the_image_is_the_input(picture: np.ndarray, tiny: Make) -> None:
    run = restore(picture, Denoise(), tiny())
    np.testing.assert_array_equal(run.image, picture)
    assert run.latest_slice is None
    run.close()
    np.testing.assert_array_equal(run.image, picture)


def test_the_image_is_a_copy_and_the_input_is_left_alone(picture: np.ndarray) -> None:
    before = picture.copy()
    run = restore(picture, Denoise(), dimming())
    next(run)
    run.image[:] = -1
    np.testing.assert_allclose(run.image, dimmed(picture, 1), rtol=1e-3)
    run.finish()[:] = -1
    assert run.image.min() > -1000
    assert (run.image != -1).all()
    np.testing.assert_array_equal(picture, before)


def test_the_slice_under_way_can_be_watched(rng: np.random.Generator) -> None:
    stack = rng.integers(0, 1000, (2, 9, 11)).astype(np.uint16)
    run = restore(stack, Denoise(), dimming(), axes="TYX")
    watched = [run.latest_slice for _ in run]
    assert [index[0] for index, _ in watched] == [0, 0, 1, 1]
    assert watched[2][1].dtype == np.float32
    np.testing.assert_allclose(watched[2][1], dimmed(stack[1], 1), rtol=1e-3)


@pytest.mark.parametrize("error", [RuntimeError("the kernel\nwas lost"), NotImplementedError("the kernel")])
def test_a_failing_device_becomes_a_sentence_and_keeps_the_image(picture: np.ndarray, error: Exception) -> None:
    run = restore(picture, Denoise(), dimming(error), device="cpu")
    with pytest.raises(RestorationError, match=r"^the run on cpu failed: the kernel$") as caught:
        run.finish()
    # superqt takes any RuntimeError for a deleted worker.
    assert not isinstance(caught.value, RuntimeError | OutOfMemoryError)
    assert caught.value.__cause__ is error
    np.testing.assert_allclose(run.image, dimmed(picture, 2), rtol=1e-3)
    assert list(run) == []


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("out"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB\nmore"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes."),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes."),
    ],
)
def test_lack_of_memory_during_a_run_tells_the_remedy(picture: np.ndarray, error: Exception) -> None:
    run = restore(picture, Denoise(), dimming(error), device="cpu")
    with pytest.raises(OutOfMemoryError, match=r"^not enough memory on cpu: .*GiB are free\. Crop.*channels") as caught:
        run.finish()
    assert "\n" not in str(caught.value)
    np.testing.assert_allclose(run.image, dimmed(picture, 2), rtol=1e-3)


def test_a_run_that_cannot_fit_is_refused_before_it_starts() -> None:
    huge = np.broadcast_to(np.uint8(1), (300_000, 300_000))
    with pytest.raises(OutOfMemoryError, match=r"this run needs about \d+\.\d GiB, .* GiB are free"):
        restore(huge, Denoise(), device="cpu")


def test_a_huge_stack_of_small_slices_is_not_refused(tiny: Make) -> None:
    stack = np.broadcast_to(np.uint8(1), (10_000, 32, 32))
    assert restore(stack, Denoise(), tiny(), axes="TYX", device="cpu").slice_count == 10_000


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is needed")
@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_the_memory_estimate_is_right_within_a_factor_of_two(run_python: Run, precision: str) -> None:
    code = f"""
from pathlib import Path
import numpy as np, torch
from napari_deep_prior import DeepImagePrior, Denoise, Hourglass, restore
from napari_deep_prior.arrays.frame import canonical
from napari_deep_prior.runs.posing import pose

image = np.random.default_rng(0).integers(0, 200, (256, 256)).astype(np.uint8)
precision = {precision!r}
tiny = Hourglass(channels=(8,), skip=(2,))
restore(image[:32, :32], Denoise(), DeepImagePrior(network=tiny, steps=3, precision=precision), device="cpu").finish()
method = DeepImagePrior(network=Hourglass(channels=(32,) * 5, skip=(4,) * 5), steps=5, precision=precision)
measured, weight, frame = canonical(image, "YX", device=torch.device("cpu"))
def peak():
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))

before = peak()
restore(image, Denoise(), method, device="cpu").finish()
print(method.memory(pose(Denoise(), measured, weight, frame, ())[0]))
print(peak() - before)
"""
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    estimated, grown = map(int, done.stdout.split())
    assert 0.5 < estimated / grown < 2


@pytest.mark.skipif(sys.platform != "linux", reason="the address space can be limited on Linux only")
@pytest.mark.parametrize("megabytes", [30, 60])
def test_a_run_that_meets_the_end_of_memory_ends_with_a_sentence(run_python: Run, megabytes: int) -> None:
    code = f"""
import resource
import numpy as np, psutil
from napari_deep_prior import DeepImagePrior, Denoise, Hourglass, OutOfMemoryError, restore

image = np.random.default_rng(0).integers(0, 200, (256, 256)).astype(np.uint8)
network = Hourglass(channels=(32, 32), skip=(4, 4))
run = restore(image, Denoise(), DeepImagePrior(network=network, precision="float32"), device="cpu")
# OpenBLAS takes its memory when it is first used, and ends the process itself if there is none: let it have it.
np.linalg.pinv(np.random.default_rng(0).random((300, 300)))
limit = psutil.Process().memory_info().vms + {megabytes} * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    run.finish()
except OutOfMemoryError as error:
    print(error)
"""
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"not enough memory on cpu: .*Crop the image.*\n", done.stdout)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4), bool), "pixels of type bool: real numbers are needed"),
        (np.zeros((4, 4), complex), "pixels of type complex128"),
        (np.zeros((4, 4), object), "pixels of type object"),
        (np.zeros((0, 4)), r"the image is empty: its shape is \(0, 4\)"),
        (np.zeros(4), "at least the two axes"),
        (np.float32(3), "at least the two axes"),
    ],
)
def test_an_image_that_is_none_is_refused_at_once(image: np.ndarray, message: str, tiny: Make) -> None:
    with pytest.raises(ValueError, match=message):
        restore(image, Denoise(), tiny())


def test_wrong_axes_and_devices_are_refused_at_once(picture: np.ndarray, tiny: Make) -> None:
    with pytest.raises(ValueError, match="names 3 axes"):
        restore(picture, Denoise(), tiny(), axes="ZYX")
    with pytest.raises(ValueError, match="'tpu' is unknown"):
        restore(picture, Denoise(), tiny(), device="tpu")


def test_missing_pixels_are_refused_at_once_and_filled_on_request(picture: np.ndarray, tiny: Make) -> None:
    picture[4, 5:8] = np.nan
    picture[0, 0] = np.inf
    with pytest.raises(MissingPixelsError, match="4 of 99 pixels"):
        restore(picture, Denoise(), tiny())
    image = restore(picture, Denoise(missing="fill"), tiny()).finish()
    assert np.isfinite(image).all()


def test_a_constant_image_is_refused(tiny: Make) -> None:
    with pytest.raises(ValueError, match="constant"):
        restore(np.full((9, 9), 3, np.uint8), Denoise(), tiny()).finish()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float16", "float32", "float64"])
def test_the_result_has_the_type_of_the_input_or_single_precision(picture: np.ndarray, dtype: str) -> None:
    image = (picture / 5).astype(dtype)
    same = restore(image, Denoise(), dimming()).finish()
    single = restore(image, Denoise(), dimming(), dtype="float32").finish()
    assert same.dtype == image.dtype
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, dimmed(image.astype(np.float64), 2), rtol=1e-3, atol=0.1)
    np.testing.assert_allclose(same.astype(float), single, atol=20 if dtype.startswith(("uint", "int")) else 0.1)


@pytest.mark.parametrize(("noise", "shift"), [("gaussian", -7.0), ("auto", 0.0)])
def test_an_affine_change_of_the_input_changes_the_output_alike(
    noisy: np.ndarray, tiny: Make, noise: str, shift: float
) -> None:
    # With photon noise only a change of the unit is none of the image: zero light has a grey level.
    image = noisy[:24, :24].astype(np.float64)
    method = tiny(steps=30)
    plain = restore(image, Denoise(noise=noise), method, device="cpu").finish()
    changed = restore(1e-3 * image + shift, Denoise(noise=noise), method, device="cpu").finish()
    np.testing.assert_allclose(changed, 1e-3 * plain + shift, atol=1e-3 * 1e-3 * float(np.ptp(image)))


def test_the_record_tells_enough_to_do_it_again(noisy: np.ndarray, tiny: Make) -> None:
    run = restore(noisy[:17, :19], Denoise(), tiny(seed=5, stop="none"), device="cpu", dtype="float32")
    image = run.finish()
    record = json.loads(json.dumps(run.record))
    assert record["version"] == VERSION
    assert record["chosen step"] == 3
    assert record["device"].startswith("cpu")
    assert record["axes"] == "YX"
    assert record["slices restored"] == "1 of 1"
    task, method = from_record(record)
    again = restore(noisy[:17, :19], task, method, device="cpu", dtype=record["dtype"], volume=record["volume"])
    np.testing.assert_array_equal(again.finish(), image)


@pytest.mark.parametrize(
    "record",
    [{}, None, {"task": {"kind": "Denoise"}}, {"task": {"kind": "Dream"}, "method": {"kind": "DeepImagePrior"}}],
)
def test_a_record_that_this_version_does_not_know_is_refused(record: object) -> None:
    with pytest.raises(ValueError, match="no settings of Deep Prior that this version understands"):
        from_record(record)


def test_without_a_method_the_balanced_preset_is_taken(picture: np.ndarray) -> None:
    assert restore(picture, Denoise()).method == preset(Denoise(), "balanced")


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no preset 'dream'; choose one of .*balanced.*paper"):
        preset(Denoise(), "dream")


def test_the_paper_preset_has_the_numbers_of_the_paper() -> None:
    method = preset(Denoise(), "paper")
    assert method.network == Hourglass(
        channels=(128,) * 5, skip=(4,) * 5, normalise_joined=True, pointwise="all", padding="reflection"
    )
    assert (method.network.upsampling, method.optimizer) == ("bilinear", "adam")
    assert (method.start_at_median, method.jitter_warmup) == (False, 0)
    assert (method.steps, method.rate, method.code_channels, method.averaging) == (3000, 0.01, 32, 0.99)
    assert (method.jitter, method.jitter_source, method.stop) == (1 / 30, "fresh", "none")
    # 5 dB of mean squared error.
    assert method.backtracking == pytest.approx(10 ** (5 / 10))


def test_the_result_is_named_after_what_was_done() -> None:
    assert name_of_result("cells", Denoise()) == "cells denoised"
    assert name_of_result("cells", Inpaint()) == "cells inpainted"
    assert name_of_result("cells", SuperResolve()) == "cells super-resolved"


def test_a_huge_image_of_floats_is_refused_for_its_memory() -> None:
    with pytest.raises(OutOfMemoryError):
        restore(np.broadcast_to(np.float32(3), (400_000, 400_000)), Denoise(), device="cpu")


def test_white_pixels_of_half_precision_do_not_become_infinite(rng: np.random.Generator, tiny: Make) -> None:
    image = np.where(rng.random((16, 16)) > 0.05, 65504, 0).astype(np.float16)
    assert np.isfinite(restore(image, Denoise(), tiny(steps=300), device="cpu").finish()).all()


def test_intensities_beyond_single_precision_are_restored(picture: np.ndarray) -> None:
    image = picture.astype(np.float64) * 1e50
    run = restore(image, Denoise(), dimming(), device="cpu")
    next(run)
    # What is shown while it runs is single precision.
    assert np.isfinite(run.latest_slice[1]).all()
    np.testing.assert_allclose(run.finish(), dimmed(picture, 2).astype(np.float64) * 1e50, rtol=1e-3)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried "
                "to allocate 4194304000 bytes. Error code 12 (Cannot allocate memory)"
            ),
            "the run asked for 3.9 GiB more",
        ),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
            "asked for 2.00 GiB more",
        ),
        (MemoryError("Unable to allocate 3.64 TiB for an array with shape (4, 4)"), "asked for 3.64 TiB more"),
        (MemoryError(), "the run asked for more than there is"),
    ],
)
def test_the_sentence_about_memory_has_no_c_plus_plus_in_it(picture: np.ndarray, error: Exception, said: str) -> None:
    with pytest.raises(OutOfMemoryError, match=said) as caught:
        restore(picture, Denoise(), dimming(error), device="cpu").finish()
    assert "enforce fail" not in str(caught.value)
    assert "Allocator" not in str(caught.value)


def test_a_record_with_settings_of_the_wrong_type_is_refused() -> None:
    for method in ({"kind": "DeepImagePrior", "network": 3}, {"kind": "DeepImagePrior", "steps": "many"}):
        with pytest.raises(ValueError, match=r"names with their values are needed|steps is 'many'"):
            from_record({"task": Denoise().to_json(), "method": method})


def test_the_noise_is_estimated_once_and_recorded(noisy: np.ndarray, tiny: Make) -> None:
    run = restore(noisy, Denoise(), tiny(), device="cpu")
    assert run.record["noise"] is None
    run.finish()
    noise = json.loads(json.dumps(run.record["noise"]))
    assert noise["misfit"] in ("gaussian", "anscombe")
    assert noise["in words"] == run.noise.in_words()
    assert [camera["gain"] for camera in noise["channels"]] == [model.gain for model in run.noise.channels]


def test_a_run_says_that_nothing_was_passed_through(picture: np.ndarray) -> None:
    run = restore(picture, Denoise(), dimming(), device="cpu")
    run.finish()
    assert run.record["passed through"] == []
