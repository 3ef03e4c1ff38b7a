"""How usable the viewer stays during a run: delays of a 5 ms timer in the event loop, with a real window.

python benchmarks/event_loop.py [--size 512] [--seconds 20]
"""

from __future__ import annotations

import argparse
import json
import time

import napari
import numpy as np
from qtpy.QtCore import QEventLoop, QTimer

from napari_deep_prior.arrays.phantom import Camera, cells

PERIOD = 5
"""Milliseconds between two ticks of the timer."""


def main() -> None:
    """Print median, 95th percentile and worst delay, idle and during a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512, help="pixels along a side of the image")
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    viewer = napari.Viewer()
    viewer.add_image(Camera().expose(cells((options.size,) * 2), np.random.default_rng(0)))
    _, dock = viewer.window.add_plugin_dock_widget("napari-deep-prior", "Denoise")
    _delays(2)
    rows = {"idle": _delays(5)}
    dock.outcome.run_button.click()
    run = dock.run
    rows["restoring"] = _delays(options.seconds)
    finished = QEventLoop()
    run.finished.connect(finished.quit)
    dock.outcome.stop_button.click()
    finished.exec()
    viewer.close()
    for name, delays in rows.items():
        median, high, worst = np.quantile(delays, [0.5, 0.95, 1.0])
        print(
            f"{name:10} {len(delays):6} ticks   median {median:6.1f} ms   95 % {high:6.1f} ms   worst {worst:6.1f} ms"
        )
        rows[name] = {"median ms": median, "95 % ms": high, "worst ms": worst}
    print(json.dumps({"size": options.size, **rows}))


def _delays(seconds: float) -> list[float]:
    """Return by how many milliseconds each tick came late."""
    delays: list[float] = []
    loop, timer = QEventLoop(), QTimer()
    last = time.perf_counter()

    def tick() -> None:
        nonlocal last
        now = time.perf_counter()
        delays.append(max(0.0, 1000 * (now - last) - PERIOD))
        last = now

    timer.timeout.connect(tick)
    timer.start(PERIOD)
    QTimer.singleShot(int(1000 * seconds), loop.quit)
    loop.exec()
    timer.stop()
    return delays


if __name__ == "__main__":
    main()
