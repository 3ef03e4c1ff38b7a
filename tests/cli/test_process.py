"""What only a process of its own can show: signals, pipes, memory, the start."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from napari_deep_prior.cli.main import DONE, FAILED, INTERRUPTED, TERMINATED, main
from napari_deep_prior.files import images
from napari_deep_prior.runs.identity import VERSION
from napari_deep_prior.tasks import Denoise

from .conftest import FEW, QUICK, Capture

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_the_version_is_shown(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"deep-prior {VERSION}\n"


def test_the_package_is_a_command_whose_comparison_can_be_printed_on_any_terminal(
    folder: Path, run_python: Run
) -> None:
    arguments = ["denoise", "in.ome.tif", "out.tif", *FEW, "--reference", "truth.tif"]
    done = subprocess.run(
        [sys.executable, "-m", "napari_deep_prior", *arguments],
        env=os.environ | {"PYTHONIOENCODING": "cp1252", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == DONE, done.stderr
    assert re.match(rb"PSNR [\d.]+ \? [\d.]+ dB", done.stdout)
    assert b"Traceback" not in done.stderr
    assert images.read("out.tif").pixels.shape == (21, 17)


@pytest.mark.skipif(sys.platform != "linux", reason="the address space can be limited on Linux only")
def test_the_end_of_memory_exits_with_two_and_no_traceback(folder: Path, run_python: Run) -> None:
    code = """
import resource, sys
import psutil, torch
from napari_deep_prior.cli.main import main
limit = psutil.Process().memory_info().vms + 120 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.exit(main(sys.argv[1:]))
"""
    tifffile.imwrite("large.tif", np.random.default_rng(0).integers(0, 99, (512, 512)).astype(np.uint8))
    done = run_python("-c", code, "denoise", "large.tif", "out.tif", "--device", "cpu", "--precision", "float32")
    assert done.returncode == FAILED
    assert "deep-prior: not enough memory on cpu" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the address space can be limited on Linux only")
@pytest.mark.parametrize("mebibytes", [100, 400])
def test_too_small_an_address_space_for_the_libraries_gets_a_sentence(run_python: Run, mebibytes: int) -> None:
    code = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({mebibytes} * 2**20,) * 2)
from napari_deep_prior.__main__ import main
sys.exit(main())
"""
    done = run_python("-c", code, "denoise", "in.tif", "out.tif")
    assert done.returncode == FAILED
    assert done.stderr.startswith("deep-prior: ")
    assert "ulimit -v" in done.stderr
    assert done.stderr.count("\n") == 1


# A cluster sends SIGTERM some seconds before it kills a job.
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED)])
@pytest.mark.skipif(sys.platform == "win32", reason="signals cannot be sent to one process there")
def test_ctrl_c_and_sigterm_write_the_best_so_far(folder: Path, sent: signal.Signals, code: int) -> None:
    files, endless = ["denoise", "in.ome.tif", "out.tif"], [*QUICK, "--stop", "none", "--steps"]
    # Tests that run in the background of a shell inherit that Ctrl-C is ignored, and would hand it on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_deep_prior", *files, *endless, "1000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    with process:
        said = b""
        while not re.search(rb" [1-9]\d*/1000000 ", said):
            more = os.read(process.stderr.fileno(), 4096)
            assert more, said.decode()
            said += more
        process.send_signal(sent)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == code
    assert b"Traceback" not in said + rest
    written = images.read("out.tif")
    (chosen,) = written.record["chosen_steps"]
    assert 1 <= chosen < 1_000_000
    assert re.search(rb"out\.tif: stopped at step \d+ of at most 1000000", rest)
    assert written.record["task"] == Denoise().to_json()
    # It is the image of that step, to the bit: of the same number of threads, among which sums are shared out.
    assert torch.get_num_threads() == 1
    assert main([*files[:2], "again.tif", *endless, str(chosen)]) == DONE
    np.testing.assert_array_equal(written.pixels, images.read("again.tif").pixels)


# Libraries pass Ctrl-C on while they are loaded, or make another error of it.
@pytest.mark.parametrize(
    "passed_on", ["raise KeyboardInterrupt", "os.kill(os.getpid(), signal.SIGINT); raise ImportError"]
)
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_while_pytorch_is_loaded_is_no_traceback(run_python: Run, passed_on: str) -> None:
    code = f"""
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            {passed_on}

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupting())
from napari_deep_prior.__main__ import main
sys.exit(main())
"""
    done = run_python("-c", code, "denoise", "in.tif", "out.tif")
    assert (done.returncode, done.stderr) == (INTERRUPTED, "deep-prior: stopped; nothing was written\n")
