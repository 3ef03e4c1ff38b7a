"""What the dock says before a run, and what it reads for that; what a run reads of a lazy stack, and where."""

from __future__ import annotations

import threading

import dask.array
import numpy as np
import pytest

from napari_deep_prior import DeepImagePrior, Denoise, Hourglass, NLRidge, restore
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.files.images import RECORD
from napari_deep_prior.plugin import plan

MOMENT = 10


@pytest.fixture(autouse=True)
def _plans(_no_plans, monkeypatch):
    monkeypatch.setattr(plan, "DELAY", MOMENT)


def test_the_plan_follows_layer_method_effort_and_settings(viewer, open_task, qtbot, monkeypatch):
    viewer.add_image(Camera().expose(cells((64, 64)), np.random.default_rng(0)))
    dock = open_task("Denoise", None)

    def says(*words):
        note = dock.notes.plan_note
        qtbot.waitUntil(lambda: all(word in note.text() for word in words), timeout=30_000)

    says("Self-distilled U-Net", "independent from pixel to pixel", "about", "of memory")
    assert "photon noise" in dock.notes.noise_note.text()
    dock.method_form.effort.value = "fast"
    says("Non-local ridge regression", "needs no training")
    dock.method_form.method.value = "deep-image-prior"
    says("Deep image prior", "about")
    assert "needs no training" not in dock.notes.plan_note.text()
    dock.method_form.form.widgets["rate"].value = "quick"
    says("Learning rate is 'quick'")
    assert dock.notes.plan_note.styleSheet()
    # Not even a tile fits.
    monkeypatch.setattr("napari_deep_prior.runs.setup.free_memory", lambda _device: 2**20)
    viewer.add_image(np.zeros((3000, 3000), np.uint8), contrast_limits=(0, 1))
    dock.image_input.image.value = viewer.layers[-1]
    dock.method_form.show_settings(DeepImagePrior(members=16, network=Hourglass(channels=(1024,) * 5)))
    says("Not enough memory")
    viewer.layers.clear()
    qtbot.waitUntil(lambda: not dock.notes.plan_note.text(), timeout=30_000)


def test_a_task_that_needs_an_input_says_so(viewer, open_task, qtbot, noisy):
    viewer.add_image(noisy)
    dock = open_task("Guided reconstruction", None)
    qtbot.waitUntil(lambda: "nothing is chosen under 'guides'" in dock.notes.plan_note.text().lower(), timeout=30_000)
    dock.inputs["guide"].layers.value = [viewer.add_image(np.eye(40, 37))]
    qtbot.waitUntil(lambda: "without and with the guide" in dock.notes.plan_note.text(), timeout=30_000)


def lazy_stack(planes):
    """Return a lazy copy of a stack, and a list that grows by the number and the thread of each plane computed."""
    reads = []

    def read(block_info=None):
        (number, *_) = block_info[None]["chunk-location"]
        reads.append((number, threading.current_thread() is threading.main_thread()))
        return planes[number : number + 1]

    chunks = ((1,) * len(planes), (planes.shape[1],), (planes.shape[2],))
    return dask.array.map_blocks(read, chunks=chunks, dtype=planes.dtype, meta=planes[:0]), reads


def test_of_a_lazy_stack_the_plan_reads_the_current_slice_and_the_run_reads_piece_by_piece(
    viewer, open_task, qtbot, press_run
):
    planes = Camera().expose(cells((6, 32, 33), seed=1), np.random.default_rng(0))
    lazy, reads = lazy_stack(planes)
    with dask.config.set(scheduler="synchronous"):
        viewer.add_image(lazy, name="stack", contrast_limits=(100, 400))
        viewer.dims.set_point(0, 2)
        dock = open_task("Denoise", NLRidge())
        dock.image_input.extent.value = "whole stack, slice by slice"
        dock.task_form.widgets["gain"].value = "0.5"
        dock.task_form.widgets["neighbours"].value = "0"
        reads.clear()
        dock.notes.update_soon()
        qtbot.waitUntil(lambda: "of memory" in dock.notes.plan_note.text() and not dock.notes._busy, timeout=30_000)
        assert reads == [(2, False)]
        reads.clear()
        layer = press_run(dock)
        by_worker = [number for number, in_main_thread in reads if not in_main_thread]
        by_viewer = {number for number, in_main_thread in reads if in_main_thread}
    assert by_viewer <= {2}
    # Every slice once for the noise, which they share; and then in order, none ahead of time.
    assert by_worker == [0, *range(6), *range(1, 6)]
    wanted = restore(planes, Denoise(gain=0.5, neighbours=0), NLRidge(), axes="ZYX").finish()
    np.testing.assert_array_equal(layer.data, wanted)


def test_the_noise_of_a_stack_is_said_as_the_run_takes_it(viewer, open_task, qtbot, press_run):
    generator = np.random.default_rng(0)
    stack = np.stack([Camera().expose(light * cells((48, 48)), generator) for light in (0, 1, 1)])
    viewer.add_image(stack)
    dock = open_task("Denoise", NLRidge())
    dock.image_input.extent.value = "whole stack, slice by slice"
    layer = press_run(dock)
    sentence = f"Noise: {layer.metadata[RECORD]['noise']['in_words']}."
    qtbot.waitUntil(lambda: dock.notes.noise_note.text() == sentence, timeout=30_000)


def test_noise_that_cannot_be_is_said_before_the_run(viewer, open_task, qtbot, noisy):
    viewer.add_image(noisy)
    dock = open_task("Denoise", NLRidge())
    dock.task_form.widgets["sigma"].value = "1e6"
    qtbot.waitUntil(lambda: "With sigma 1e+06 the noise" in dock.notes.plan_note.text(), timeout=30_000)
    dock.start()
    qtbot.waitUntil(lambda: "leave it out to be estimated" in dock.outcome.status.text(), timeout=30_000)
    assert [layer.name for layer in viewer.layers] == ["noisy"]
    dock.task_form.widgets["sigma"].value = str(1.5 * noisy.std())
    qtbot.waitUntil(lambda: "hardly true" in dock.notes.noise_note.text(), timeout=30_000)


def test_photon_counts_are_shown_in_the_type_that_holds_the_result(viewer, open_task, press_run):
    counts = np.random.default_rng(0).poisson(0.3, (24, 24)).astype(np.uint8)
    viewer.add_image(counts)
    dock = open_task("Denoise", NLRidge())
    layer = press_run(dock)
    assert layer.data.dtype == np.float32
    assert layer.data.sum() == pytest.approx(counts.sum(), rel=0.1)
    assert "The result is float32: uint8 would round away" in dock.outcome.status.text()


def test_the_preview_is_the_array_that_the_result_grows_in(viewer, open_task, qtbot, begin_run, noisy_stack):
    viewer.add_image(noisy_stack, contrast_limits=(100, 400))
    dock = open_task("Denoise", DeepImagePrior(steps=100_000, stop="none", code_channels=4))
    dock.image_input.extent.value = "whole stack, slice by slice"
    run = begin_run(dock, updates=2)
    preview = viewer.layers[-1]
    growing = preview.data
    assert growing.dtype == noisy_stack.dtype
    assert growing[0].any()
    assert not growing[1:].any()
    with qtbot.waitSignal(run.finished, timeout=30_000):
        dock.stop()
    assert viewer.layers[-1] is preview
    # There is no second array; slices that were not reached are left out.
    assert np.shares_memory(preview.data, growing)
    assert preview.data.shape == (1, *noisy_stack.shape[1:])
    np.testing.assert_array_equal(preview.contrast_limits, (100, 400))
