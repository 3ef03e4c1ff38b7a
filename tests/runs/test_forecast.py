"""What a run will take is known before it starts."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from napari_deep_prior.methods import DeepImagePrior, NLRidge, SelfDistillation
from napari_deep_prior.methods.method import Method
from napari_deep_prior.runs import forecast as forecasts
from napari_deep_prior.runs.forecast import Forecast
from napari_deep_prior.runs.run import restore
from napari_deep_prior.tasks import TASKS, Denoise, Guided, RemoveArtifacts, SuperResolve, Task

from .toys import Counting


@pytest.fixture(autouse=True)
def reference_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes this computer as fast as the one that times were measured on."""
    monkeypatch.setattr(forecasts, "slowness", lambda _device: 1.0)


def forecast(
    shape: tuple[int, ...], task: Task | None = None, method: str | Method = "auto", **options: Any
) -> Forecast:
    lazy = Counting(np.broadcast_to(np.uint8(1), shape))
    correlation_length = options.pop("correlation_length", 1)
    run = restore(lazy, task or Denoise(), method, device="cpu", **options)
    found = run.setup.forecast(correlation_length=correlation_length)
    assert lazy.indices == []
    return found


def beside_libraries(found: Forecast) -> int:
    """Return the memory of a run with a network beside that of the libraries, which does not grow with the image."""
    return found.memory - forecasts.LIBRARIES - forecasts.NETWORK_LIBRARIES


def guide(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape)


@pytest.mark.parametrize(("name", "method"), [*((name, "auto") for name in TASKS), ("inpaint", "deep-image-prior")])
def test_time_and_memory_grow_with_the_image(name: str, method: str) -> None:
    task = TASKS[name]()
    found = []
    for side in (64, 256):
        possible = {"guide": guide(side, side), "mask": np.eye(side)}
        given = {key: value for key, value in possible.items() if key in task.needs | (task.takes - {"guide"})}
        found.append(forecast((side, side), task, method, **given))
    small, large = found
    assert 0 < small.memory < large.memory < 2**40
    assert 0 < small.seconds < large.seconds
    assert large.memory > 256 * 256 * 4


def test_every_piece_of_a_stack_takes_its_time_and_none_of_them_more_memory() -> None:
    for method in ("nl-ridge", SelfDistillation(shared=False)):
        one, many = forecast((64, 64), method=method), forecast((5, 64, 64), method=method, axes="TYX")
        assert many.seconds == pytest.approx(5 * one.seconds)
        assert many.memory == one.memory


def test_one_network_for_all_slices_takes_the_time_of_its_training_once() -> None:
    few, many = (forecast((count, 64, 64), axes="TYX").seconds for count in (8, 108))
    alone = forecast((64, 64)).seconds
    assert few < many < few + 100 * alone / 20
    # Two networks for the uncertainty are trained for each slice.
    assert forecast((8, 64, 64), effort="best", axes="TYX").seconds > 8 * alone


def test_a_volume_takes_the_memory_of_all_of_its_planes() -> None:
    # Without similar patches: they need the same for a volume as for a plane.
    planes = forecast((8, 64, 64), method=DeepImagePrior(), axes="ZYX")
    volume = forecast((8, 64, 64), method=DeepImagePrior(), axes="ZYX", volume=True)
    assert beside_libraries(volume) > 4 * beside_libraries(planes)


def test_an_enlarged_image_takes_the_memory_of_the_result() -> None:
    double, fourfold = (forecast((64, 64), SuperResolve(factor=factor), "deep-image-prior") for factor in (2, 4))
    assert beside_libraries(fourfold) > 3 * beside_libraries(double)


def test_a_guide_takes_the_time_of_both_methods_and_the_memory_of_the_larger() -> None:
    alone = forecast((64, 64), method=NLRidge())
    guided = forecast((64, 64), Guided(), NLRidge(), guide=guide(64, 64))
    prior = forecast((64, 64), method="deep-image-prior")
    assert guided.choice.guided is not None
    assert guided.seconds > 2 * alone.seconds + 0.9 * prior.seconds
    assert guided.memory >= max(alone.memory, 0.9 * prior.memory)


def test_a_method_that_stands_in_does_not_hide_the_memory_of_the_one_that_was_asked_for() -> None:
    # Whether it is a JPEG is not known before it is read.
    task = RemoveArtifacts()
    found = forecast((256, 256), task)
    stand_in = forecast((256, 256), task, "deep-image-prior")
    assert found.memory >= stand_in.memory


def test_a_slower_computer_takes_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    before = forecast((64, 64)).seconds
    monkeypatch.setattr(forecasts, "slowness", lambda _device: 3.0)
    assert forecast((64, 64)).seconds == pytest.approx(3 * before)


def test_noise_that_is_known_to_be_correlated_changes_the_choice() -> None:
    assert forecast((64, 64)).choice.name == "self-distillation"
    assert forecast((64, 64), correlation_length=3).choice.name == "nl-ridge"


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("auto", {}, r"Self-distilled U-Net: a U-Net is trained on the image itself, since .*; about \d+ (s|min), "),
        ("nl-ridge", {}, r"Non-local ridge regression; about \d+ s, "),
        (DeepImagePrior(), {}, r"Deep image prior; about \d+ (s|min), "),
        ("nl-ridge", {"guide": guide(64, 64)}, r"Non-local ridge regression, without and with the guide; about "),
        (
            "auto",
            {"correlation_length": 3},
            r"Non-local ridge regression: the noise of neighbouring pixels is correlated, and the U-Net is trained on ",
        ),
    ],
)
def test_the_sentence_says_what_will_run_why_and_what_it_takes(
    method: str | Method, options: dict[str, Any], words: str
) -> None:
    sentence = forecast((64, 64), method=method, **options).in_words()
    assert re.match(words, sentence), sentence
    assert re.search(r", \d+(\.\d)? [MG]iB of memory$", sentence), sentence


def test_a_network_for_all_slices_takes_the_memory_of_what_it_is_trained_on() -> None:
    alone, stack = (forecast(shape, axes=axes) for shape, axes in (((256, 256), "YX"), ((9, 256, 256), "TYX")))
    kept = stack.memory - alone.memory
    # Eight slices are looked at: what is kept of each pixel, and their windows.
    assert 8 * 256**2 * 4 * 8 < kept < 8 * 256**2 * 4 * 16
    large, larger = (
        forecast((9, side, side), axes="TYX").memory - forecast((side, side), axes="YX").memory for side in (1024, 1400)
    )
    # Of large slices fewer are kept whole.
    assert large < 2.5 * kept * 2**21 / (8 * 256**2)
    assert larger < 1.1 * large
