"""A viewer with the Denoise dock, and settings with which a run takes a second."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep_prior import DeepImagePrior, Hourglass
from napari_deep_prior.arrays.phantom import Camera, cells

QUICK = DeepImagePrior(steps=30, code_channels=4, network=Hourglass(channels=(8, 8), skip=(2, 2)))
LONG = DeepImagePrior(steps=100_000, stop="none", code_channels=4, network=Hourglass(channels=(8, 8), skip=(2, 2)))


@pytest.fixture
def noisy():
    return Camera().expose(cells((40, 37), seed=1), np.random.default_rng(0))


@pytest.fixture
def noisy_stack():
    return Camera().expose(cells((3, 24, 25), seed=1), np.random.default_rng(0))


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    return make_napari_viewer_proxy(show=True)


@pytest.fixture
def open_dock(viewer, qtbot):
    """Open the Denoise dock as the menu does, with settings for a short run."""

    def open_dock(method=QUICK):
        _, dock = viewer.window.add_plugin_dock_widget("napari-deep-prior", "Denoise")
        dock.show_method(method)
        return dock

    return open_dock


@pytest.fixture
def press_run(qtbot):
    """Click Run and wait until the worker is idle again."""
    from qtpy.QtCore import Qt

    def press_run(dock, timeout=60_000):
        qtbot.mouseClick(dock.run_button, Qt.MouseButton.LeftButton)
        assert dock.run is not None, dock.status.text()
        with qtbot.waitSignal(dock.run.finished, timeout=timeout):
            pass
        return dock._viewer.layers[-1]

    return press_run
