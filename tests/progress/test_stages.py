"""Stages: whoever watches a run hears from it, and can end it anywhere."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_deep_prior import Denoise, Inpaint, RemoveArtifacts, Restoration, SuperResolve, restore
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.methods import Method
from napari_deep_prior.networks import Hourglass
from napari_deep_prior.patches.similar_patches import STAGE
from napari_deep_prior.physics.jpeg import JpegTables
from napari_deep_prior.progress.stages import Stopped, checkpoint, is_watched, run_stage, stage, watched
from napari_deep_prior.runs.under_way import UNCHECKED


def test_without_a_watcher_a_checkpoint_does_nothing() -> None:
    checkpoint()
    assert not is_watched()
    assert run_stage("Adding", lambda: 3) == 3


def test_a_watcher_hears_the_name_of_the_outer_stage_and_nothing_afterwards() -> None:
    heard: list[str] = []
    with watched(heard.append):
        with stage("outer"), stage("inner"):
            checkpoint()
        checkpoint()
    checkpoint()
    assert heard == ["outer", "outer", "outer", ""]


def test_a_function_without_checkpoints_is_left_alone_when_the_run_is_ended() -> None:
    begun, over = threading.Event(), threading.Event()

    def long() -> None:
        begun.set()
        over.wait(timeout=30)

    def stop(name: str) -> None:
        if begun.is_set():
            raise Stopped

    with watched(stop), pytest.raises(Stopped):
        run_stage("Waiting", long)
    over.set()


def test_an_error_in_a_watched_stage_arrives_as_it_was() -> None:
    def fail() -> None:
        raise MemoryError("no more")

    with watched(print), pytest.raises(MemoryError, match="no more"):
        run_stage("Failing", fail)


def test_every_layer_of_a_network_is_a_checkpoint_there_and_back() -> None:
    network = Hourglass(channels=(4, 4), skip=(2, 2)).build(
        inputs=2, outputs=1, shape=(16, 16), device=torch.device("cpu")
    )
    count = [0, 0]

    def watch(name: str) -> None:
        count[backwards] += 1

    backwards = 0
    with watched(watch):
        output = network(torch.ones(1, 2, 16, 16))
        backwards = 1
        output.sum().backward()
    assert min(count) >= 5


IMAGE = Camera().expose(cells((24, 24), seed=1), np.random.default_rng(0))
MASK = np.random.default_rng(0).random(IMAGE.shape) < 0.3
TABLES = JpegTables(((16,) * 8,) * 8)


RUNS: dict[str, Callable[[], Restoration]] = {
    "nl-ridge": lambda: restore(IMAGE, Denoise(), "nl-ridge"),
    "self-distillation": lambda: restore(IMAGE, Denoise(), "self-distillation"),
    "deep-image-prior": lambda: restore(IMAGE, Denoise(), "deep-image-prior"),
    "plug-and-play": lambda: restore(IMAGE, Inpaint(), "plug-and-play", mask=MASK),
    "zero-shot-sr": lambda: restore(IMAGE, SuperResolve(), "zero-shot-sr"),
    "nl-deblocking": lambda: restore((IMAGE // 2).astype(np.uint8), RemoveArtifacts(), "nl-deblocking", jpeg=TABLES),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_can_be_ended_in_each_of_its_stages_before_the_first_step(name: str) -> None:
    heard: dict[str, None] = {}
    with RUNS[name]() as run, watched(heard.setdefault):
        next(run)
    assert {"Reading the image", "Estimating the noise"} <= set(heard)
    if name in ("nl-ridge", "self-distillation", "nl-deblocking"):
        assert STAGE in heard

    def watch(stage: str) -> None:
        if stage == wanted:
            raise Stopped

    for wanted in heard:  # noqa: B007  (the watcher looks at it)
        with RUNS[name]() as run, watched(watch), pytest.raises(Stopped):
            next(run)
        assert run.record.chosen_steps == []
        assert list(run) == []


def test_a_run_that_is_ended_in_the_middle_of_a_step_keeps_the_step_before(tiny: Callable[..., Method]) -> None:
    left = [0]

    def watch(stage: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Stopped

    run = restore(IMAGE, Denoise(), tiny(steps=9), device="cpu")
    with run, watched(watch):
        next(run)
        first = run.image
        # In the pass back through the network.
        left[0] = 50
        with pytest.raises(Stopped):
            next(run)
    np.testing.assert_array_equal(run.image, first)
    assert run.record.chosen_steps == [1]


def test_watching_changes_nothing_but_that_somebody_hears() -> None:
    heard: set[str] = set()
    with watched(heard.add):
        watched_image = restore(IMAGE, Denoise(), "nl-ridge", device="cpu").finish()
    np.testing.assert_array_equal(watched_image, restore(IMAGE, Denoise(), "nl-ridge", device="cpu").finish())
    # What is done after the last step takes seconds in a large image.
    assert "Checking what was removed" in heard


def test_a_check_that_is_stopped_is_not_made_again_and_the_record_says_so() -> None:
    def watch(stage: str) -> None:
        if stage == "Checking what was removed":
            raise Stopped

    run = restore(IMAGE, Denoise(), "nl-ridge", device="cpu")
    with run, watched(watch), pytest.raises(Stopped):
        for _ in run:
            pass
    assert run.image.shape == IMAGE.shape
    assert any(UNCHECKED in remark for remark in run.record.remarks)
