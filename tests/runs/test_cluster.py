"""Pieces that other processes restore: the same result, whoever restores them and whatever happens to them."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.arrays.pieces import Piece
from napari_deep_prior.cli.main import DONE, FAILED, main
from napari_deep_prior.files import images
from napari_deep_prior.files.model_files import read_model
from napari_deep_prior.methods import DeepImagePrior
from napari_deep_prior.runs.clusters import executor_of, on_this_computer, read_compute, slurm_cluster
from napari_deep_prior.runs.dask_executor import refuse_workers
from napari_deep_prior.runs.elsewhere import restore_piece
from napari_deep_prior.runs.errors import RestorationError
from napari_deep_prior.runs.executor import Executor, PieceDone, PieceJob
from napari_deep_prior.runs.identity import VERSION
from napari_deep_prior.runs.restoration import Restoration
from napari_deep_prior.runs.result import result_of
from napari_deep_prior.runs.run import restore
from napari_deep_prior.tasks import Denoise

from .toys import Look, dimming

distributed = pytest.importorskip("distributed")
zarr = pytest.importorskip("zarr")

PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"

Make = Callable[..., DeepImagePrior]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[distributed.Client]:
    """A client of two worker processes, begun once: that takes the most time."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
        ) as processes,
        distributed.Client(processes, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with as many threads as a worker has, within the context: others round sums in another way."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def stack(rng: np.random.Generator) -> np.ndarray:
    """Six frames, of which one is blank."""
    frames = rng.integers(100, 1000, (6, 24, 20)).astype(np.uint16)
    frames[4] = 7
    return frames


def test_the_result_and_its_record_are_those_of_one_process(
    cluster: distributed.Client, stack: np.ndarray, tiny: Make
) -> None:
    there = restore(stack, Denoise(), tiny(), axes="TYX", device="cpu", diagnostics=True, client=cluster)
    with there:
        steps = [(step.number, step.image.numel()) for step in there]
    with threads(there.record.threads):
        here = restore(stack, Denoise(), tiny(), axes="TYX", device="cpu", diagnostics=True)
        np.testing.assert_array_equal(there.image, here.finish())
    np.testing.assert_array_equal(there.diagnostics["residual"], here.diagnostics["residual"])
    assert there.record == here.record
    assert there.record.passed_through == [
        "slice 5: the image is constant (every pixel is 7): there is nothing to restore"
    ]
    assert steps == [(3, 0)] * 5
    assert there.piece_number == 6


def test_tiles_written_by_two_processes_are_those_of_one(
    cluster: distributed.Client, rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    zarr.create_array("in.zarr", data=rng.integers(100, 1000, (2, 100, 70)).astype(np.uint16), chunks=(1, 32, 32))
    command = ["denoise", "in.zarr", "one.zarr", "--axes", "ZYX", "--effort", "fast", "--tile", "64", "--device", "cpu"]
    assert main([*command, "--scheduler", cluster.scheduler.address]) == DONE
    one = images.read("one.zarr")
    command[2] = "two.zarr"
    with threads(one.record["threads"]):
        assert main(command) == DONE
    two = images.read("two.zarr")
    np.testing.assert_array_equal(one.pixels, two.pixels)
    assert one.record == two.record


def test_what_is_not_reached_may_lie_anywhere(stack: np.ndarray, tiny: Make) -> None:
    class Backwards(Executor):
        in_words = "one after another, the last one first"

        def restore(self, job: PieceJob, pieces: Sequence[Piece]) -> Iterator[PieceDone]:
            for piece in pieces[::-1]:
                yield restore_piece(job, piece.number, 1)

    setup = restore(stack, Denoise(neighbours=0), tiny(), axes="TYX", device="cpu").setup
    with Restoration(dataclasses.replace(setup, executor=Backwards())) as run:
        next(run)
        next(run)
    result = result_of(run)
    assert result.missing == 3
    assert result.record.remarks[0] == "3 of 6 slices were not reached: they are empty (0)"
    assert [bool(frame.any()) for frame in result.image] == [False] * 3 + [True] * 3
    assert result.record.identity == ""


class Fuse:
    """An array that kills the process that reads a frame, as long as a file is there."""

    def __init__(self, pixels: np.ndarray, file: Path, frame: int) -> None:
        self.pixels, self.shape, self.dtype, self.file, self.frame = pixels, pixels.shape, pixels.dtype, file, frame
        self.here = os.getpid()

    def __getitem__(self, index: tuple[int | slice, ...]) -> np.ndarray:
        if os.getpid() != self.here and index[0] == self.frame and self.file.exists():
            self.file.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.pixels[index]


@pytest.mark.skipif(sys.platform == "win32", reason="a process is killed with a signal")
def test_a_killed_worker_loses_nothing(
    cluster: distributed.Client, stack: np.ndarray, tiny: Make, tmp_path: Path
) -> None:
    task, file = Denoise(neighbours=0), tmp_path / "kill"
    file.touch()
    fuse = Fuse(stack, file, frame=2)
    run = restore(fuse, task, tiny(), axes="TYX", device="cpu", client=cluster)
    result = run.finish()
    assert not file.exists()
    with threads(run.record.threads):
        np.testing.assert_array_equal(result, restore(stack, task, tiny(), axes="TYX", device="cpu").finish())
    cluster.wait_for_workers(2)


def test_what_fails_on_a_worker_is_the_same_sentence_here(cluster: distributed.Client, stack: np.ndarray) -> None:
    run = restore(stack, Look(), dimming(RuntimeError("no such kernel")), axes="TYX", device="cpu", client=cluster)
    with pytest.raises(RestorationError, match="the run on cpu failed: no such kernel"):
        run.finish()
    assert not run.record.chosen_steps


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        ({"package": "", "torch": "2"}, "the worker tcp://a:1 has no napari-deep-prior: install the version"),
        ({"package": "0.0.1", "torch": "2"}, r"has napari-deep-prior 0\.0\.1 and this computer .*: install the same"),
        ({"package": VERSION, "torch": ""}, "has no PyTorch: install it there"),
    ],
)
def test_a_worker_that_cannot_restore_anything_is_refused(versions: dict[str, str], message: str) -> None:
    refuse_workers({"tcp://a:0": {"package": VERSION, "torch": "2"}})
    with pytest.raises(ValueError, match=message):
        refuse_workers({"tcp://a:1": versions})


def test_what_cannot_be_begun_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stack: np.ndarray
) -> None:
    monkeypatch.setattr("napari_deep_prior.runs.clusters.WAIT", 0.5)
    with pytest.raises(ValueError, match=r"there is no scheduler at 'tcp://127\.0\.0\.1:9' .*: start one"):
        executor_of(scheduler="tcp://127.0.0.1:9")
    with pytest.raises(ValueError, match="workers and scheduler exclude each other: give one of them"):
        executor_of(workers=2, scheduler="tcp://127.0.0.1:9")
    with pytest.raises(ValueError, match="there are to be 0 workers: give at least 1"):
        on_this_computer(0)
    with pytest.raises(ValueError, match=r"the client is str: give a distributed\.Client"):
        restore(stack, Denoise(), axes="TYX", device="cpu", client="tcp://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    images.write("in.tif", images.ImageFile(pixels=stack, axes="TYX"))
    assert main(["denoise", "in.tif", "out.tif", "--compute", "none.yml"]) == FAILED
    assert "cannot read 'none.yml': No such file" in capsys.readouterr().err


def test_the_settings_for_slurm_in_the_documentation_make_a_job(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    file = tmp_path / "slurm.yml"
    file.write_text(text, encoding="utf-8")
    settings = read_compute(str(file))
    with slurm_cluster(settings) as slurm:
        script = slurm.job_script()
    assert "#SBATCH -p gpu" in script
    assert "#SBATCH --gres=gpu:1" in script
    assert "--resources GPU=1" in script
    assert "distributed.cli.dask_worker" in script
    file.write_text("- 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has no settings: give lines such as"):
        read_compute(str(file))
    with pytest.raises(ValueError, match=r"the cluster has no settings kores: choose among .*cores"):
        slurm_cluster({"kores": 8, "cores": 8, "memory": "8GB"})


def test_the_network_that_workers_have_used_is_saved(cluster: distributed.Client, tmp_path: Path) -> None:
    frames = Camera().expose(cells((4, 32, 36)), np.random.default_rng(0)).astype(np.uint16)
    file, out = str(tmp_path / "in.tif"), [str(tmp_path / name) for name in ("there.zarr", "here.zarr")]
    saved = [str(tmp_path / f"{name}.safetensors") for name in ("there", "here")]
    images.write(file, images.ImageFile(pixels=frames, axes="TYX"))
    quick = ["--method", "self-distillation", "--steps", "3", "--crop", "16", "--channels", "8,8", "--neighbours", "0"]
    command = ["denoise", file, "--device", "cpu", *quick]
    with threads(1):
        assert main([*command, out[0], "--save-model", saved[0], "--scheduler", cluster.scheduler.address]) == DONE
        assert main([*command, out[1], "--save-model", saved[1]]) == DONE
    there, here = map(read_model, saved)
    assert there.training == {"slices": [1, 2, 3, 4], "steps": 3}
    assert all(torch.equal(there.weights[name], each) for name, each in here.weights.items())
    np.testing.assert_array_equal(*(images.read(each).pixels for each in out))
