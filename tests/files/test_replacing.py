"""Files are replaced whole, with what their owner has set, and killed runs leave nothing for long."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_deep_prior.files.replacing import refuse_place, replace_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="permissions, links and locks are others there")


def writing(text: str) -> Callable[[str], None]:
    def write(name: str) -> None:
        Path(name).write_text(text)

    return write


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o777, 0o200])
def test_a_replaced_file_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.tif"
    path.write_text("old")
    path.chmod(mode)
    replace_file(path, writing("new"))
    assert stat.S_IMODE(path.stat().st_mode) == mode
    path.chmod(0o600)
    assert path.read_text() == "new"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        replace_file(tmp_path / "a.tif", writing("new"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.tif").stat().st_mode) == 0o666 & ~mask


def test_a_replaced_file_is_as_old_as_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_text("old")
    os.utime(path, (1, 1))
    replace_file(path, writing("new"))
    assert path.stat().st_mtime > 1e9


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_the_file_that_it_names_is_written(tmp_path: Path, there: bool) -> None:
    (tmp_path / "data").mkdir()
    if there:
        (tmp_path / "data" / "real.tif").write_text("old")
    link = tmp_path / "a.tif"
    link.symlink_to("data/real.tif")
    refuse_place(link, overwrite=True)
    replace_file(link, writing("new"))
    assert link.is_symlink()
    assert (tmp_path / "data" / "real.tif").read_text() == "new"


@pytest.mark.parametrize("link", [False, True])
def test_a_read_only_file_is_refused(tmp_path: Path, link: bool) -> None:
    path = tmp_path / "real.tif"
    path.write_text("old")
    path.chmod(0o444)
    (tmp_path / "link.tif").symlink_to(path)
    with pytest.raises(ValueError, match=r"\.tif' is read-only: choose another name"):
        refuse_place(tmp_path / "link.tif" if link else path, overwrite=True)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    (tmp_path / "loop.tif").symlink_to("loop.tif")
    (tmp_path / "lost.tif").symlink_to("nowhere/a.tif")
    for name, sentence in (
        ("pipe.tif", "it is a device or a pipe and no file"),
        ("loop.tif", "Too many levels of symbolic links"),
        ("lost.tif", "there is no folder '.*nowhere'"),
        ("n" * 300, "File name too long"),
    ):
        with pytest.raises(ValueError, match=sentence):
            refuse_place(tmp_path / name, overwrite=True)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    def fail(name: str) -> None:
        Path(name).write_text("half")
        raise OSError("the disk is full")

    path = tmp_path / "a.tif"
    path.write_text("old")
    with pytest.raises(OSError, match="full"):
        replace_file(path, fail)
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"a.tif": "old"}


def test_what_killed_runs_left_is_removed_and_what_others_write_stays(tmp_path: Path) -> None:
    # A process of its own each: one is killed in the middle of a write, the other one goes on.
    code = """
import sys, time
from pathlib import Path
from napari_deep_prior.files.replacing import replace_file

def write(name):
    Path(name).write_text("half")
    print(name, flush=True)
    sys.stdin.read()

replace_file(Path(sys.argv[1]), write)
"""
    runs = []
    for name in ("killed.tif", "alive.tif"):
        arguments = [sys.executable, "-c", code, str(tmp_path / name)]
        run = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        runs.append((run, Path(run.stdout.readline().strip())))
    (killed, remain), (alive, half) = runs
    with killed, alive:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        mine = tmp_path / ".deep-prior-settings.tif"
        mine.write_text("no remain of ours")
        assert remain.exists()
        replace_file(tmp_path / "new.tif", writing("new"))
        assert not remain.exists()
        assert half.exists()
        alive.communicate("")
    assert sorted(path.name for path in tmp_path.iterdir()) == [mine.name, "alive.tif", "new.tif"]
