"""The main job as a person does it: open the noisy sample, open the Denoise dock from the menu, press Run.

Run by ``make demo``. Writes ``demo/denoised.ome.tif`` and ``demo/viewer.png`` and prints what was gained. On a
virtual screen it ends by itself; with a display the window stays open.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import napari
import numpy as np
from qtpy.QtCore import QEventLoop, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QMenu

from napari_deep_prior.arrays import metrics

OUTPUT = Path("demo")
TIMEOUT = 1800
"""Seconds after which the run is given up; two cores with AVX2 need four minutes."""


def main() -> None:
    """Denoise the sample and write down what came out."""
    OUTPUT.mkdir(exist_ok=True)
    viewer = napari.Viewer()
    window = viewer.window._qt_window
    window.resize(1500, 940)
    viewer.open_sample("napari-deep-prior", "cells")
    noisy, truth = viewer.layers["cells (noisy)"], viewer.layers["cells (truth)"]
    viewer.layers.selection.active = noisy
    _menu_action(window, "Layers", "Filter", "Deep Prior", "Denoise").trigger()
    dock = next(iter(viewer.window.dock_widgets.values()))
    _let_window_settle()
    viewer.reset_view()
    began = time.monotonic()
    QTest.mouseClick(dock.outcome.run_button, Qt.MouseButton.LeftButton)
    _wait_until(lambda: dock.run is None)
    seconds = time.monotonic() - began
    result = viewer.layers["cells (noisy) denoised"]
    truth_pixels = truth.data
    viewer.layers.remove(truth)
    grid = viewer.canvas.grid if hasattr(viewer, "canvas") else viewer.grid  # napari 0.9 moved it
    grid.enabled, grid.shape = True, (1, 2)
    viewer.reset_view(margin=0.02)
    _let_window_settle()
    viewer.screenshot(str(OUTPUT / "viewer.png"), canvas_only=False)
    target = OUTPUT / "denoised.ome.tif"
    target.unlink(missing_ok=True)
    result.save(str(target), plugin="napari-deep-prior")
    _report(noisy.data, result, truth_pixels, seconds)
    if os.environ.get("DISPLAY") and not os.environ.get("XAUTHORITY", "").startswith("/tmp/xvfb-run"):  # noqa: S108
        napari.run()
    viewer.close()


def _report(noisy: np.ndarray, result: napari.layers.Image, truth: np.ndarray, seconds: float) -> None:
    record = result.metadata["deep-prior"]
    span = metrics.data_range(truth)
    for name, measure in (("PSNR (dB)", metrics.psnr), ("SSIM", metrics.ssim)):
        before, after = (measure(image, truth, span=span) for image in (noisy, result.data))
        print(f"{name:10} noisy {before:8.3f}   restored {after:8.3f}")
    print(f"chosen step {record['chosen_steps'][0]}, {seconds:.0f} s on {record['device']}")
    print(f"wrote {OUTPUT / 'denoised.ome.tif'} and {OUTPUT / 'viewer.png'}")


def _menu_action(window, *names: str):
    """Return the action behind the titles of a menu and its submenus, as a person finds it."""
    menu = window.menuBar()
    for name in names:
        if isinstance(menu, QMenu):
            menu.aboutToShow.emit()
        action = next((item for item in menu.actions() if item.text().replace("&", "").startswith(name)), None)
        if action is None:
            sys.exit(f"there is no {name!r} in the menu {' > '.join(names)}")
        menu = action.menu() or menu
    return action


def _let_window_settle() -> None:
    loop = QEventLoop()
    QTimer.singleShot(700, loop.quit)
    loop.exec()


def _wait_until(done) -> None:
    end = time.monotonic() + TIMEOUT
    while not done():
        if time.monotonic() > end:
            sys.exit(f"the run did not end within {TIMEOUT} s")
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
        time.sleep(0.01)


if __name__ == "__main__":
    main()
