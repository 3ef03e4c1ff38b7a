"""Every example runs and makes its image better; those named ``demo`` need a screen (``make demo``)."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted(
    path for path in (Path(__file__).parent.parent / "examples").glob("*.py") if not path.name.startswith("demo")
)


@pytest.mark.slow
@pytest.mark.usefixtures("restore_fast")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_example_runs_and_its_image_becomes_better(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(path))
    before, *after = [float(number) for number in re.findall(r"PSNR (\S+) dB", capsys.readouterr().out)]
    # All of them gain more than a decibel.
    assert max(after) > before + 0.5
