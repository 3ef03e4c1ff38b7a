"""What the tests of the command line share: a folder with an image and its truth, and quick settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_deep_prior.cli.main import FAILED, main
from napari_deep_prior.files import images

QUICK = ["--method", "deep-image-prior", "--channels", "8,8", "--skip", "2,2", "--code-channels", "4"]
QUICK += ["--precision", "float32", "--device", "cpu"]
FEW = [*QUICK, "--steps", "4"]

Capture = pytest.CaptureFixture[str]
Refused = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path, noisy: np.ndarray, truth: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has in.ome.tif, 21 × 17 pixels of 0.2 µm, and truth.tif; is the current folder."""
    monkeypatch.chdir(tmp_path)
    spacing = {"Y": 0.2, "X": 0.2}
    units = dict.fromkeys("YX", "µm")
    images.write("in.ome.tif", images.ImageFile(pixels=noisy[:21, :17], axes="YX", spacing=spacing, units=units))
    tifffile.imwrite("truth.tif", truth[:21, :17])
    return tmp_path


def contents(folder: Path) -> dict[Path, bytes]:
    """Return what is in the files of a folder; a link to nowhere has nothing in it."""
    return {path: path.read_bytes() if path.exists() else b"" for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture
def refused(folder: Path, capsys: Capture) -> Refused:
    """Runs a command, which must fail with one sentence and leave the folder as it is; returns the sentence."""

    def run(*arguments: str) -> str:
        before = contents(folder)
        assert main(arguments) == FAILED
        said = capsys.readouterr().err
        assert "restoring" not in said
        assert "slice 1" not in said.partition("deep-prior: ")[0]
        assert contents(folder) == before
        sentence = said.strip().splitlines()[-1]
        assert sentence.startswith("deep-prior: ")
        return sentence

    return run
