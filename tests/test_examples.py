"""Every example runs and makes its image better; ``demo.py`` needs a screen and runs by ``make demo``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted(path for path in (Path(__file__).parent.parent / "examples").glob("*.py") if path.name != "demo.py")


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_example_runs_and_its_image_becomes_better(path: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(path)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    before, *after = [float(number) for number in re.findall(r"PSNR (\S+) dB", done.stdout)]
    # All of them gain more than a decibel.
    assert max(after) > before + 0.5
