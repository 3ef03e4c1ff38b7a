"""A viewer that the tests of a module share, docks, and settings with which a run takes a moment."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import napari
import napari.settings
import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt, QThreadPool

from napari_deep_prior import DeepImagePrior, Hourglass
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.plugin import docks, kept_networks, plan, worker
from napari_deep_prior.plugin.run import ACTIVE

NETWORK = Hourglass(channels=(8, 8), skip=(2, 2))
QUICK = DeepImagePrior(steps=12, code_channels=4, network=NETWORK)
LONG = DeepImagePrior(steps=100_000, stop="none", code_channels=4, network=NETWORK)

MOMENT = 0.05
"""Seconds between two updates of a run: tests wait for some of them."""

NEVER = 3_600_000
"""Milliseconds: plans take processor time, and are the matter of few tests."""


@pytest.fixture(scope="session", autouse=True)
def _session() -> None:
    """Leave the person's settings of napari alone, and imported objects out of the garbage collection after a run."""
    napari.settings._SETTINGS = None
    napari.settings.get_settings(None)
    assert docks.DOCKS
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "DELAY", NEVER)


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the folder in which the networks of trainings are kept, which is not that of the person."""
    monkeypatch.setattr(kept_networks, "folder", lambda: tmp_path / "networks")
    return tmp_path / "networks"


@pytest.fixture(autouse=True)
def _frequent_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "INTERVAL", MOMENT)


@pytest.fixture(scope="module")
def shared_viewer(qapp: Any, request: pytest.FixtureRequest) -> Iterator[napari.Viewer]:
    # Shown only where a module says so: drawing takes time, and with software rendering it crashes when a Labels layer
    # is painted on after a dock with a plot of pyqtgraph was closed (also without this plugin).
    viewer = napari.Viewer(show=getattr(request.module, "SHOWN", False))
    yield viewer
    viewer.close()
    gc.collect()


@pytest.fixture
def viewer(shared_viewer: napari.Viewer, qapp: Any) -> Iterator[napari.Viewer]:
    """An empty viewer without docks."""
    yield shared_viewer
    for run in list(ACTIVE):
        # Of a test that failed in the middle: what follows would wait for it for ever.
        run.stop()
    QThreadPool.globalInstance().waitForDone()
    qapp.processEvents()
    shared_viewer.layers.clear()
    inside = list(shared_viewer.window.dock_widgets.values())
    shared_viewer.window.remove_dock_widget("all")
    for dock in inside:
        dock.deleteLater()
    inside.clear()
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    qapp.processEvents()
    # What listens to the layers goes with the docks.
    gc.collect()


@pytest.fixture
def noisy() -> np.ndarray:
    return Camera().expose(cells((40, 37), seed=1), np.random.default_rng(0))


@pytest.fixture
def noisy_stack() -> np.ndarray:
    return Camera().expose(cells((3, 24, 25), seed=1), np.random.default_rng(0))


@pytest.fixture
def open_task(viewer: napari.Viewer) -> Callable[..., Any]:
    """Open a dock as the menu does, with settings for a short run."""

    def open_task(name: str, method: Any = QUICK) -> Any:
        _, dock = viewer.window.add_plugin_dock_widget("napari-deep-prior", name)
        if method is not None:
            dock.method_form.show_settings(method)
        return dock

    return open_task


@pytest.fixture
def click(qtbot: Any) -> Callable[..., None]:
    def click(button: Any) -> None:
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    return click


@pytest.fixture
def press_run(qtbot: Any, click: Callable[..., None]) -> Callable[..., Any]:
    """Click Run, wait until the worker is idle again, and return the uppermost layer."""

    def press_run(dock: Any, timeout: int = 60_000) -> Any:
        click(dock.outcome.run_button)
        assert dock.run is not None, dock.outcome.status.text()
        with qtbot.waitSignal(dock.run.finished, timeout=timeout):
            pass
        return dock._viewer.layers[-1]

    return press_run


@pytest.fixture
def begin_run(qtbot: Any, click: Callable[..., None]) -> Callable[..., Any]:
    """Click Run, wait for some updates on its steps, and return the run."""

    def begin_run(dock: Any, updates: int = 1) -> Any:
        click(dock.outcome.run_button)
        run = dock.run
        assert run is not None, dock.outcome.status.text()
        made = [lambda update: update.number > 0] * updates
        with qtbot.waitSignals([run.updated] * updates, timeout=30_000, check_params_cbs=made):
            pass
        return run

    return begin_run


@pytest.fixture
def told(qtbot: Any, click: Callable[..., None]) -> Callable[..., str]:
    """Click Run, which must not make anything, and return what the status line says."""

    def told(dock: Any) -> str:
        before = [layer.name for layer in dock._viewer.layers]
        click(dock.outcome.run_button)
        if dock.run is not None:
            with qtbot.waitSignal(dock.run.finished, timeout=30_000):
                pass
        assert [layer.name for layer in dock._viewer.layers] == before
        assert dock.outcome.run_button.isEnabled()
        return dock.outcome.status.text()

    return told
