"""How usable the viewer stays during a run, and what a run in it costs beside the same run without one.

    python benchmarks/event_loop.py [--size 256] [--way balanced] [--runs 2] [--hidden]

The same image is restored in a real window and without one, alternating, with the same settings, so that both make the
same steps. Seconds are those between the click on *Run* and the end of the run; processor seconds are those of all
threads of this process, software rendering included. While runs are under way in the window, a timer of 5 ms tells how
late the event loop is. Nothing else may run: what ran at the start is written down.
"""

from __future__ import annotations

import argparse
import json
import time
from statistics import median

import machine
import napari
import numpy as np
from qtpy.QtCore import QEventLoop, QTimer
from ways import HELP, way

from napari_deep_prior import Denoise, restore
from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.phantom import Camera, cells

PERIOD = 5
"""Milliseconds between two ticks of the timer."""

LABELS = {"first": "first run in the viewer", "viewer": "run in the viewer", "alone": "the same without a viewer"}

WINDOW = 1500, 940
"""Pixels of the window."""


def main() -> None:
    """Print the times of all runs, their quotients, and the delays of the event loop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="pixels along a side of the image")
    parser.add_argument("--way", default="balanced", help=HELP.replace("comma separated: ", ""))
    parser.add_argument("--runs", type=int, default=2, help="of each kind")
    parser.add_argument("--hidden", action="store_true", help="the window is minimised during the runs")
    options = parser.parse_args()
    about = machine.facts()
    print(machine.in_words(about), flush=True)
    image = Camera().expose(cells((options.size,) * 2), np.random.default_rng(0))
    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW)
    viewer.add_image(image)
    _, dock = viewer.window.add_plugin_dock_widget("napari-deep-prior", "Denoise")
    delays = {"idle": _delays(5), "first": [], "restoring": []}
    # The first run of a process loads libraries: it is told apart.
    first = _timed(lambda: delays["first"].extend(_measured(dock, options.way)))
    if options.hidden:
        dock.window().showMinimized()
    rows: dict[str, list[tuple[float, float]]] = {"first": [first], "viewer": [], "alone": []}
    for _ in range(options.runs):
        rows["viewer"].append(_timed(lambda: delays["restoring"].extend(_measured(dock, options.way))))
        rows["alone"].append(_timed(lambda: _without_viewer(image, options.way)))
    viewer.close()
    _report(rows, delays, {"machine": about, "size": options.size, "way": options.way, "hidden": options.hidden})


def _without_viewer(image: Array, name: str) -> None:
    restore(image, Denoise(), axes="YX", **way(name)).finish()


def _measured(dock, name: str) -> list[float]:
    """Make a run by a click on the button; return the delays of the event loop."""
    for key, value in way(name).items():
        getattr(dock.method_form, key).value = value
    finished = QEventLoop()
    dock.outcome.run_button.click()
    dock.run.finished.connect(finished.quit)
    return _delays_until(finished)


def _timed(function) -> tuple[float, float]:
    """Return the seconds, and the processor seconds of all threads, that a function takes."""
    began, busy = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - began, time.process_time() - busy


def _delays(seconds: float) -> list[float]:
    loop = QEventLoop()
    QTimer.singleShot(int(1000 * seconds), loop.quit)
    return _delays_until(loop)


def _delays_until(loop: QEventLoop) -> list[float]:
    """Return by how many milliseconds each tick of a timer came late, until a loop ends."""
    delays: list[float] = []
    timer = QTimer()
    last = time.perf_counter()

    def tick() -> None:
        nonlocal last
        now = time.perf_counter()
        delays.append(max(0.0, 1000 * (now - last) - PERIOD))
        last = now

    timer.timeout.connect(tick)
    timer.start(PERIOD)
    loop.exec()
    timer.stop()
    return delays


def _report(rows: dict[str, list[tuple[float, float]]], delays: dict[str, list[float]], found: dict) -> None:
    for name, times in rows.items():
        for seconds, busy in times:
            print(f"{LABELS[name]:28} {seconds:7.2f} s   {busy:7.2f} processor seconds")
        found[name] = {"seconds": [one for one, _ in times], "processor seconds": [one for _, one in times]}
    for at, kind in enumerate(("seconds", "processor seconds")):
        quotient = median(row[at] for row in rows["viewer"]) / median(row[at] for row in rows["alone"])
        print(f"in the viewer {quotient:.2f} times the {kind}")
        found[f"quotient of {kind}"] = quotient
    for name, late in delays.items():
        middle, high, worst = np.quantile(late, [0.5, 0.95, 1.0])
        print(f"{name:10} {len(late):6} ticks   median {middle:6.1f} ms   95 % {high:6.1f} ms   worst {worst:6.1f} ms")
        found[f"delays, {name}"] = {"median ms": middle, "95 % ms": high, "worst ms": worst}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
