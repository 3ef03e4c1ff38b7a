"""How a run ends when something is closed or fails: each test has a viewer of its own."""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
from dataclasses import dataclass

import napari
import pytest

from napari_deep_prior.methods import Method
from napari_deep_prior.plugin import run as run_module
from napari_deep_prior.runs.recommend import Wish

from .conftest import LONG, QUICK


@pytest.fixture
def viewer(qapp):
    viewer = napari.Viewer(show=True)
    yield viewer
    with contextlib.suppress(RuntimeError):
        # One of the tests has closed it.
        viewer.close()
    gc.collect()


@pytest.fixture
def open_dock(viewer, open_task, noisy):
    # The dock itself may not be a fixture: pytest would keep it, and with it the viewer.
    def open_dock():
        viewer.add_image(noisy, name="cells")
        return open_task("Denoise", LONG)

    return open_dock


def test_a_run_belongs_to_the_viewer_and_a_reopened_dock_shows_it(viewer, open_task, begin_run, click, qtbot, noisy):
    viewer.add_image(noisy, name="cells")
    run = begin_run(open_task("Denoise", LONG))
    viewer.window.remove_dock_widget("all")
    other = open_task("Inpaint", None)
    assert other.run is None
    dock = open_task("Denoise", None)
    assert dock.run is run
    assert not dock.outcome.run_button.isEnabled()
    # What the run is still writing is no input, in any dock.
    assert [layer.name for layer in viewer.layers] == ["cells", "cells denoised (preview)"]
    for each in (dock, other):
        assert [layer.name for layer in each.image_input.image.choices] == ["cells"]
        assert each.image_input.layer.name == "cells"
        assert [layer.name for layer in each.inputs["guide"].layers.choices] == ["cells"]
    with qtbot.waitSignal(run.finished, timeout=30_000):
        click(dock.outcome.stop_button)
    assert dock.outcome.run_button.isEnabled()
    assert "stopped at step" in dock.outcome.status.text().lower()
    for each in (dock, other):
        assert [layer.name for layer in each.image_input.image.choices] == ["cells", "cells denoised"]


def test_the_result_of_a_run_whose_dock_was_closed_and_deleted_still_arrives(viewer, open_dock, begin_run, qtbot):
    dock = open_dock()
    run = begin_run(dock)
    viewer.window.remove_dock_widget("all")
    dock.deleteLater()
    with qtbot.waitSignal(run.finished, timeout=30_000):
        run.stop()
    assert viewer.layers[-1].name == "cells denoised"


def test_closing_the_viewer_during_a_run_ends_the_run(viewer, open_dock, begin_run, qtbot):
    dock = open_dock()
    run = begin_run(dock)
    with qtbot.waitSignal(run.worker.finished, timeout=30_000):
        viewer.close()
    assert not run_module.ACTIVE


IN_THE_MIDDLE = """
import threading, time
from qtpy.QtWidgets import QApplication
from napari_deep_prior.plugin.job import BackgroundJob
from napari_deep_prior.progress.stages import checkpoint

def work():
    began.set()
    while True:
        time.sleep(0.01)
        checkpoint()

app, began = QApplication([]), threading.Event()
job = BackgroundJob(work)
job.start()
began.wait()
"""


@pytest.mark.slow
def test_a_program_without_an_event_loop_ends_in_the_middle_of_a_job_and_says_nothing():
    places = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(
        [sys.executable, "-c", IN_THE_MIDDLE],
        env=os.environ | places,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@dataclass(frozen=True, kw_only=True)
class FailsInTheMiddle(Method):
    """Does a few honest steps, then what PyTorch does when a kernel fails."""

    def fit(self, problem):
        for step in QUICK.fit(problem):
            yield step
            if step.number == 6:
                raise RuntimeError("CUDA error: an illegal memory access was encountered\nmore lines")

    def why_not(self, problem):
        return ""

    def memory(self, problem):
        return 0

    def seconds(self, problem):
        return 0.0


def test_a_runtime_error_ends_the_run_in_words_and_leaves_the_viewer_usable(
    viewer, open_dock, qtbot, click, press_run, monkeypatch
):
    dock = open_dock()
    monkeypatch.setattr(dock.method_form, "wish", lambda: Wish(method="deep-image-prior", settings=FailsInTheMiddle()))
    click(dock.outcome.run_button)
    run = dock.run
    with qtbot.waitSignals([run.failed, run.finished], timeout=30_000, order="strict"):
        pass
    assert "illegal memory access" in dock.outcome.status.text()
    assert "more lines" not in dock.outcome.status.text()
    assert viewer.layers[-1].name.endswith("(unfinished)")
    monkeypatch.undo()
    viewer.layers.pop()
    dock.method_form.show_settings(QUICK)
    assert press_run(dock).name.endswith("denoised")


def test_docks_of_two_viewers_know_only_their_own_layers(viewer, open_dock, open_task, press_run, noisy):
    dock = open_dock()
    second = napari.Viewer(show=False)
    try:
        second.add_image(noisy, name="other")
        _, other = second.window.add_plugin_dock_widget("napari-deep-prior", "Denoise")
        other.method_form.show_settings(QUICK)
        for each in (dock, other):
            each.image_input.layers_changed()
        assert [layer.name for layer in dock.image_input.image.choices] == ["cells"]
        assert [layer.name for layer in other.image_input.image.choices] == ["other"]
        assert press_run(other).name == "other denoised"
        assert [layer.name for layer in viewer.layers] == ["cells"]
    finally:
        second.close()
