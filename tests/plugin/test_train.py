"""The Train dock in a real window: images in, a network out, which the docks of its task use at once."""

from __future__ import annotations

import contextlib
import gc
import os
from pathlib import Path

import napari
import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QEvent, QThreadPool
from qtpy.QtWidgets import QFileDialog

from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.cli.main import main
from napari_deep_prior.files.images import RECORD
from napari_deep_prior.files.model_files import read_model
from napari_deep_prior.networks import ENLARGING_AUTOENCODER, Autoencoder
from napari_deep_prior.plugin import kept_networks, train_dock, training_job, viewer_job
from napari_deep_prior.plugin.train_choices import LAYERS
from napari_deep_prior.plugin.train_dock import LAST
from napari_deep_prior.plugin.training_picture import SIDE

NAMES = ("a", "b", "c")


@pytest.fixture(autouse=True)
def _frequent(monkeypatch):
    monkeypatch.setattr(training_job, "INTERVAL", 0.1)


@pytest.fixture(autouse=True)
def _ended():
    """Wait for trainings of a test that failed in the middle."""
    yield
    for job in list(viewer_job.ACTIVE):
        job.stop()
    QThreadPool.globalInstance().waitForDone()


@pytest.fixture
def folder(tmp_path):
    """Three noisy images, and clean ones of their names in another folder."""
    for name in ("raw", "clean"):
        (tmp_path / name).mkdir()
    for seed, name in enumerate(NAMES):
        photons = cells((40, 44), seed=seed)
        tifffile.imwrite(tmp_path / "raw" / f"{name}.tif", Camera().expose(photons, np.random.default_rng(seed)))
        tifffile.imwrite(tmp_path / "clean" / f"{name}.tif", Camera().expected(photons).astype(np.uint16))
    return tmp_path / "raw"


@pytest.fixture
def open_train(viewer):
    def open_train(folder=None, task="denoise", epochs="30"):
        _, dock = viewer.window.add_plugin_dock_widget("napari-deep-prior", "Train")
        choices = dock.choices
        choices.task.value = task
        values = {"epochs": epochs, "crop": 16, "rate": "0.01"}
        for name, value in values.items():
            choices.form.widgets[name].value = value
        choices.form.groups["network"].form.widgets["channels"].value = "8, 8"
        if folder is not None:
            choices.folder.line.setText(str(folder))
        return dock

    return open_train


@pytest.fixture
def train(qtbot, click):
    """Click a button, and wait for the end of the training."""

    def train(dock, button=None):
        click(dock.run_button if button is None else button)
        assert dock.job is not None, dock.status.text()
        with qtbot.waitSignal(dock.job.finished, timeout=60_000):
            pass

    return train


@pytest.fixture
def begun(qtbot, click):
    """Click Run, and wait for some steps of a training without an end; return it."""

    def begun(dock):
        click(dock.run_button)
        job = dock.job
        assert job is not None, dock.status.text()
        with qtbot.waitSignals([job.updated] * 4, timeout=60_000):
            pass
        return job

    return begun


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Answer the dialog that asks where a network is saved."""
    path = tmp_path / "own.safetensors"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    return path


def test_a_network_is_trained_on_pairs_of_a_folder_and_denoises_at_once(
    viewer, open_train, train, click, folder, place, press_run, noisy
):
    dock = open_train(folder)
    dock.choices.clean_folder.line.setText(str(folder.parent / "clean"))
    train(dock)
    assert "held out" in dock.about.text().lower()
    training = dock.last.training
    assert training.best.after.psnr > training.before.psnr + 1
    for words in ("PSNR", "SSIM", "HFEN", f"{training.best.after.psnr:.2f}"):
        assert words in dock.measures.text()
    steps, losses = dock.curve.validation.getOriginalDataset()
    assert (steps[0], steps[-1]) == (0, training.steps)
    assert losses[-1] < losses[0]
    assert len(dock.curve.training.getOriginalDataset()[0]) >= 1
    assert [name.text() for name in dock.picture._names] == ["input", "output", "truth"]
    assert all(part.pixmap().width() * 2 > SIDE for part in dock.picture._parts)
    viewer.add_image(noisy, name="cells")
    click(dock.use_button)
    assert read_model(str(place)).training["weights"] == "best"
    assert dock.status.text().endswith("press Run there")
    other = next(each for name, each in viewer.window.dock_widgets.items() if name.startswith("Denoise"))
    result = press_run(other)
    assert result.metadata[RECORD]["method"]["kind"] == "TrainedNetwork"


def test_layers_are_trained_on_to_enlarge_and_the_last_network_can_be_used(
    viewer, open_train, train, click, place, qtbot
):
    layers = [viewer.add_image(cells((40, 44), seed=seed), name=name) for seed, name in enumerate(NAMES)]
    dock = open_train(task="super-resolve", epochs="4")
    dock.choices.source.value = LAYERS
    assert dock.choices.folder.isHidden()
    assert dock.choices.clean_layers.isHidden()
    click(dock.run_button)
    assert "no layer is ticked" in dock.status.text().lower()
    dock.choices.layers.tick(layers)
    dock.choices.task_forms["super-resolve"].widgets["factor"].value = "3"
    train(dock)
    dock.which.value = LAST
    click(dock.use_button)
    other = next(each for name, each in viewer.window.dock_widgets.items() if name.startswith("Super"))
    assert str(other.inputs["model"].file.value).endswith("own.last.safetensors")
    assert other.task_form.read().factor == 3
    assert read_model(str(place)).factors == (3.0, 3.0)


def test_an_autoencoder_is_shown_with_the_scales_that_suit_the_task_until_somebody_chooses_others(open_train):
    choices = open_train().choices
    group = choices.form.groups["network"]
    group.choice.value = "autoencoder"
    assert choices.form.read().network == Autoencoder()
    choices.task.value = "super-resolve"
    assert choices.form.read().network == ENLARGING_AUTOENCODER
    choices.task.value = "denoise"
    assert choices.form.read().network == Autoencoder()
    for text in ("8, 8", "8, eight"):
        group.form.widgets["channels"].value = text
        choices.task.value = "super-resolve"
        assert group.form.widgets["channels"].value == text
        choices.task.value = "denoise"


def test_stop_keeps_the_best_network_and_the_training_goes_on_from_the_last(
    open_train, begun, train, click, folder, qtbot
):
    dock = open_train(folder, epochs="100000")
    dock.choices.clean_folder.line.setText(str(folder.parent / "clean"))
    assert not dock.go_on_button.isEnabled()
    job = begun(dock)
    assert "left" in dock.status.text()
    with qtbot.waitSignal(job.finished, timeout=30_000):
        click(dock.stop_button)
    assert dock.status.text().startswith("Stopped after")
    assert dock.status.text().endswith(f"Until then it is kept as {job.kept!r}.")
    first = job.training
    assert read_model(job.kept).training["steps"] == first.steps
    # What was reached between two validations is measured, too.
    assert job.course.validations[-1][0] == first.steps
    assert first.chosen > 0
    assert first.best.loss < job.course.validations[0][1].loss
    dock.choices.form.widgets["epochs"].value = "2"
    train(dock, dock.go_on_button)
    assert dock.last.training.steps > first.steps
    assert dock.status.text().startswith("Trained for")


def test_few_networks_are_kept_and_the_oldest_go_first(networks):
    networks.mkdir()
    for hour in range(7):
        for name in (f"denoise {hour}.safetensors", f"denoise {hour}.last.safetensors"):
            (networks / name).touch()
            os.utime(networks / name, (hour, hour))
    kept_networks.files_to_keep("denoise")
    assert sorted(path.name.split(".")[0] for path in networks.iterdir()) == [
        f"denoise {hour}" for hour in (3, 4, 5, 6) for _ in range(2)
    ]


def test_networks_of_five_trainings_are_kept_one_after_another(networks):
    names = []
    for number in range(7):
        file = Path(kept_networks.files_to_keep("denoise").best)
        # The names of two trainings within a second are one.
        names.append(f"denoise {number}.safetensors")
        file.with_name(names[-1]).touch()
        os.utime(file.with_name(names[-1]), (number, number))
        assert sorted(path.name for path in networks.iterdir()) == names[-kept_networks.MOST_KEPT :]


def test_what_run_will_do_is_said_before(viewer, open_train, folder, qtbot, monkeypatch):
    monkeypatch.setattr(train_dock, "DELAY", 1)
    layers = [viewer.add_image(cells((40, 44), seed=seed), name=name) for seed, name in enumerate(NAMES)]
    dock = open_train(folder, epochs="")
    text = dock.forecast.text

    def says(words):
        qtbot.waitUntil(lambda: words in text(), timeout=10_000)

    says("Trains for 10 min on 2 of 3 images and holds 1 out; before that, similar patches denoise the images")
    dock.choices.form.widgets["minutes"].value = "3"
    dock.choices.clean_folder.line.setText(str(folder.parent / "clean"))
    qtbot.waitUntil(lambda: text() == "Trains for 3 min on 2 of 3 images and holds 1 out", timeout=10_000)
    dock.choices.source.value = LAYERS
    qtbot.waitUntil(dock.forecast.isHidden, timeout=10_000)
    dock.choices.layers.tick(layers[:1])
    says("on the image, of which a part is held out; before that, similar patches denoise the images: about ")


def test_noisy_images_alone_are_compared_with_similar_patches(open_train, train, folder):
    dock = open_train(folder, epochs="1")
    train(dock)
    assert "not with the truth" in dock.about.text()
    assert dock.picture._names[-1].text() == "similar patches"


def test_a_training_of_the_command_goes_on_in_the_dock_with_its_settings(open_train, train, folder, tmp_path):
    out = str(tmp_path / "m.safetensors")
    quick = ["--epochs", "2", "--crop", "16", "--channels", "8,8", "--rate", "0.004"]
    assert main(["train", "super-resolve", str(folder.parent / "clean"), "--out", out, "--factor", "4", *quick]) == 0
    dock = open_train(folder.parent / "clean", epochs="")
    dock.choices.resume.value = str(tmp_path / "m.last.safetensors")
    assert dock.choices.task.value == "super-resolve"
    assert dock.choices.task_forms["super-resolve"].read().factor == 4
    assert dock.choices.form.read().rate == 0.004
    dock.choices.form.widgets["epochs"].value = "1"
    train(dock)
    assert dock.last.training.steps > read_model(out).training["steps"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda choices, _: choices.folder.line.setText(""), "nothing is chosen under 'Folder'"),
        (lambda choices, path: choices.folder.line.setText(str(path / "nowhere")), "there is no folder"),
        (lambda choices, path: choices.clean_folder.line.setText(str(path / "nowhere")), "there is no folder"),
        (lambda choices, _: setattr(choices.pattern, "value", "*.png"), "no files that match '*.png'"),
        (lambda choices, _: setattr(choices.form.widgets["minutes"], "value", "soon"), "it must be a number"),
        (lambda choices, path: setattr(choices.resume, "value", str(path / "raw" / "a.tif")), "as a model"),
    ],
    ids=["nothing", "no folder", "no clean folder", "no files", "no number", "no model"],
)
def test_what_cannot_be_trained_on_is_refused_in_a_sentence(open_train, click, folder, change, words):
    dock = open_train(folder)
    change(dock.choices, folder.parent)
    click(dock.run_button)
    assert dock.job is None
    assert words in dock.status.text()[:1].lower() + dock.status.text()[1:]


def test_what_the_images_lack_is_said_with_the_remedy_of_the_dock(open_train, train, folder):
    dock = open_train(folder)
    dock.choices.form.widgets["crop"].value = 64
    train(dock)
    assert "choose a crop of at most 40 (under the advanced settings)" in dock.status.text()
    dock.choices.form.widgets["crop"].value = 16
    dock.choices.folder.line.setText(str(folder.parent / "clean"))
    dock.choices.form.widgets["clean"].value = True
    train(dock)
    assert "give gain or sigma (under the advanced settings)" in dock.status.text()
    assert dock.outcome.isHidden()
    assert dock.run_button.isEnabled()


def test_a_dock_that_is_opened_again_shows_the_training_that_goes_on(viewer, open_train, begun, click, folder, qtbot):
    dock = open_train(folder, epochs="100000")
    dock.choices.clean_folder.line.setText(str(folder.parent / "clean"))
    job = begun(dock)
    viewer.window.remove_dock_widget(dock.parent())
    dock.deleteLater()
    again = open_train()
    assert again.job is job
    assert not again.run_button.isEnabled()
    assert again.curve.validation.getOriginalDataset()[0][0] == 0
    with qtbot.waitSignal(job.finished, timeout=30_000):
        click(again.stop_button)
    assert again.use_button.isVisibleTo(again)


def test_a_training_ends_with_its_window(qapp, folder, qtbot):
    viewer = napari.Viewer(show=True)
    try:
        _, dock = viewer.window.add_plugin_dock_widget("napari-deep-prior", "Train")
        dock.choices.folder.line.setText(str(folder.parent / "clean"))
        dock.choices.task.value = "super-resolve"
        dock.choices.form.widgets["crop"].value = 32
        dock.run_button.click()
        job = dock.job
        with qtbot.waitSignal(job.updated, timeout=60_000):
            pass
        with qtbot.waitSignal(job.finished, timeout=30_000):
            viewer.close()
        assert not viewer_job.ACTIVE
        # The network is not lost with it.
        assert read_model(job.kept).task == "super-resolve"
    finally:
        with contextlib.suppress(RuntimeError):
            viewer.close()
        qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        gc.collect()
