"""A training as a person does it: open the sample, tick its layers in the Train dock, press Run, use the network.

Needs a screen, or a virtual one: ``xvfb-run python examples/demo_training.py``. Writes ``demo/training-dock.png``, and
the network as ``demo/cells.safetensors``, with which *Denoise* then restores the field that was not trained on.
"""

from __future__ import annotations

import time
from pathlib import Path

import napari
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog

OUTPUT = Path("demo")
MINUTES = 1.0
TIMEOUT = 1200
"""Seconds after which it is given up."""


def main() -> None:
    """Train, save, and denoise."""
    OUTPUT.mkdir(exist_ok=True)
    model = (OUTPUT / "cells.safetensors").resolve()
    # What a person would type into the dialog.
    QFileDialog.getSaveFileName = lambda *_: (str(model), "")
    viewer = napari.Viewer()
    window = viewer.window._qt_window
    window.resize(1500, 1040)
    *fields, unknown = viewer.open_sample("napari-deep-prior", "fields")
    _, dock = viewer.window.add_plugin_dock_widget("napari-deep-prior", "Train")
    dock.choices.source.value = "layers"
    dock.choices.layers.tick(fields)
    dock.choices.form.widgets["minutes"].value = f"{MINUTES:g}"
    QTest.mouseClick(dock.run_button, Qt.MouseButton.LeftButton)
    wait_until(lambda: dock.job is None)
    QTest.qWait(500)
    dock.grab().save(str(OUTPUT / "training-dock.png"))
    print(dock.status.text())
    QTest.mouseClick(dock.use_button, Qt.MouseButton.LeftButton)
    other = next(each for name, each in viewer.window.dock_widgets.items() if name.startswith("Denoise"))
    other.image_input.image.value = unknown
    QTest.mouseClick(other.outcome.run_button, Qt.MouseButton.LeftButton)
    wait_until(lambda: other.run is None)
    print(other.outcome.status.text())
    viewer.close()


def wait_until(condition) -> None:
    """Let the window work until something is the case."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("it took too long")
        QApplication.processEvents()
        QTest.qWait(100)


if __name__ == "__main__":
    main()
