"""How often a run tells the viewer something, what of a stopped stack is shown, and how it goes on."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest

from napari_deep_prior import DeepImagePrior, Denoise, restore
from napari_deep_prior.files.images import RECORD
from napari_deep_prior.plugin import worker
from napari_deep_prior.plugin.run import ACTIVE
from napari_deep_prior.plugin.worker import Clock, Driver
from napari_deep_prior.progress.stages import checkpoint, stage
from napari_deep_prior.runs.under_way import UNCHECKED

from .conftest import LONG, NETWORK, QUICK


@pytest.fixture
def stop_at_slice(qtbot, click):
    """Click Run, and Stop as soon as a slice, counted from 1, is under way."""

    def stop_at_slice(dock, number):
        click(dock.outcome.run_button)
        run = dock.run
        with qtbot.waitSignal(
            run.updated, timeout=30_000, check_params_cb=lambda update: update.piece_number == number and update.number
        ):
            pass
        with qtbot.waitSignal(run.finished, timeout=30_000):
            click(dock.outcome.stop_button)

    return stop_at_slice


SLICES = DeepImagePrior(steps=40, stop="none", code_channels=4, network=NETWORK, precision="float32")


@pytest.mark.parametrize("kind", ["float32", "uint16", "lazy"])
def test_a_stopped_stack_holds_nothing_of_the_input_and_can_go_on(
    viewer, open_task, stop_at_slice, click, qtbot, noisy_stack, kind
):
    stack = noisy_stack.astype("float32" if kind == "float32" else "uint16")
    viewer.add_image(dask.array.from_array(stack, chunks=(1, 24, 25)) if kind == "lazy" else stack, name="lyso")
    dock = open_task("Denoise", SLICES)
    dock.image_input.extent.value = "whole stack, slice by slice"
    stop_at_slice(dock, 2)
    layer = viewer.layers[-1]
    assert layer.name == "lyso denoised (2 of 3 slices)"
    if kind == "float32":
        assert np.isnan(layer.data[2]).all()
        assert "empty (NaN)" in dock.outcome.status.text()
    else:
        assert layer.data.shape == (2, 24, 25)
        assert "left out" in dock.outcome.status.text()
    assert np.isfinite(layer.data[:2]).all()
    assert "2 of 3 slices restored" in dock.outcome.status.text()
    assert dock.outcome.go_on_button.isVisibleTo(dock)
    click(dock.outcome.go_on_button)
    with qtbot.waitSignal(dock.run.finished, timeout=30_000):
        pass
    assert [each.name for each in viewer.layers] == ["lyso", "lyso denoised"]
    assert "3 of 3 slices restored" in dock.outcome.status.text()
    np.testing.assert_array_equal(layer.data, restore(stack, Denoise(), SLICES, axes="ZYX").finish())
    assert not dock.outcome.go_on_button.isVisibleTo(dock)


def test_a_run_that_is_stopped_before_its_first_step_leaves_nothing_and_says_so(viewer, open_task, click, qtbot, noisy):
    viewer.add_image(noisy)
    dock = open_task("Denoise", LONG)
    click(dock.outcome.run_button)
    run = dock.run
    with qtbot.waitSignal(run.finished, timeout=30_000):
        click(dock.outcome.stop_button)
    assert len(viewer.layers) == 1
    assert "Stopped before there was an image" in dock.outcome.status.text()
    assert not ACTIVE


def test_every_stage_is_told_and_its_steps_are_not_lost(viewer, open_task, qtbot, click, noisy):
    viewer.add_image(noisy)
    dock = open_task("Denoise", QUICK)
    click(dock.outcome.run_button)
    heard = []
    dock.run.updated.connect(heard.append)
    with qtbot.waitSignal(dock.run.finished, timeout=30_000):
        pass
    # The last steps come with the end, however short it is after the update before.
    assert sum(len(update.losses) for update in heard) == QUICK.steps
    assert heard[-1].number == QUICK.steps
    (chosen,) = viewer.layers[-1].metadata[RECORD]["chosen_steps"]
    assert heard[-1].chosen == chosen


def test_a_stage_without_steps_is_told_and_can_be_stopped():
    told = []
    driver = Driver(lambda: pytest.fail("not reached"), told.append)

    def set_up():
        with stage("Thinking"):
            driver.stop()
            checkpoint()

    driver = Driver(set_up, told.append)
    assert driver.work() is None


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_stopped_run_waits_for_its_last_check_as_long_as_it_may(monkeypatch, noisy, seconds):
    monkeypatch.setattr(worker, "LAST_CHECK", seconds)

    def tell(update):
        if update.number:
            driver.stop()

    driver = Driver(lambda: restore(noisy, Denoise(), QUICK, device="cpu").setup, tell)
    outcome = driver.work()
    assert outcome.stopped
    assert any(UNCHECKED in remark for remark in outcome.record.remarks) == (seconds == 0)


class _Run:
    piece_count = 2

    def __init__(self, piece_number):
        self.piece_number = piece_number


class _Step:
    total = 100

    def __init__(self, number):
        self.number = number


def test_the_time_that_is_left_is_told_from_the_second_look_on_and_preparation_is_none_of_it():
    clock = Clock()
    assert clock.left(_Run(1), _Step(1), 1000.0) is None
    # One second for ten steps: nine more, and the second slice as long as the first.
    assert clock.left(_Run(1), _Step(11), 1001.0) == pytest.approx(8.9 + 9.9)
    assert clock.left(_Run(2), _Step(1), 1030.0) is None
    assert clock.left(_Run(2), _Step(51), 1040.0) == pytest.approx(9.8)


def test_slow_drawing_makes_updates_rarer_and_quick_drawing_does_not_make_them_frequent():
    driver = Driver(lambda: pytest.fail("not reached"), print)
    driver.shown(0.001)
    assert driver._interval == worker.INTERVAL
    driver.shown(0.2)
    assert driver._interval == pytest.approx(4.0)
