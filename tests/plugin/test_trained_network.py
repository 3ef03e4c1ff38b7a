"""A trained network is chosen in the dock, and applied."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_deep_prior.files.images import RECORD
from napari_deep_prior.files.model_files import write_model

from ..models import tiny_model, trained_model


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = str(tmp_path / "cells.safetensors")
    write_model(path, trained_model(enlarges=False))
    return path


def test_a_person_chooses_a_trained_network(viewer, open_task, press_run, told, noisy, file, tmp_path):
    viewer.add_image(noisy, name="cells")
    dock = open_task("Denoise", method=None)
    chooser = dock.inputs["model"].file
    assert not dock.inputs["model"].is_chosen
    other = str(tmp_path / "other.safetensors")
    write_model(other, tiny_model(channels=3))
    chooser.value = other
    assert "trained on images of 3 channels, and this one has 1" in told(dock)
    chooser.value = str(tmp_path / "nowhere.safetensors")
    assert "There is no file" in told(dock)
    chooser.value = file
    result = press_run(dock)
    assert result.name == "cells denoised"
    assert result.metadata[RECORD]["method"]["kind"] == "TrainedNetwork"
    assert not np.array_equal(result.data, noisy)
