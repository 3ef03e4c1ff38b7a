"""Files and folders that only one process writes into."""

from __future__ import annotations

import json
import os
import sys
import weakref
from pathlib import Path
from typing import final

import psutil

if sys.platform != "win32":
    import fcntl


@final
class FolderLock:
    """Lets no other process write into a folder, until it is released or this process ends, in whatever way.

    A lock of the system, which goes with its process, is taken where there is one. A file with the number of the
    process says who it is; where the system has no lock of folders, that decides, and a process that is gone counts no
    longer.

    Parameters
    ----------
    folder, file : Path
        The folder, which must be there, and a file for the number of the process.

    Raises
    ------
    ValueError
        If another process writes into it.
    """

    def __init__(self, folder: Path, file: Path) -> None:
        handle = None if sys.platform == "win32" else os.open(folder, os.O_RDONLY)
        # Also a lock that nobody releases ends with its last user.
        self._file, self._close = file, weakref.finalize(self, _close, handle)
        taken = None if handle is None else locked(handle)
        other = _running(file)
        if taken is False or (taken is None and other is not None):
            self._close()
            name = "another process" if other is None else f"another run (process {other})"
            raise ValueError(f"{name} writes into {str(folder)!r}: wait until it has ended, or choose another name")
        file.parent.mkdir(exist_ok=True)
        me = psutil.Process()
        file.write_text(json.dumps({"process": me.pid, "started": me.create_time()}), encoding="utf-8")

    def release(self) -> None:
        """Let others write."""
        self._file.unlink(missing_ok=True)
        self._close()


def locked(handle: int) -> bool | None:
    """Lock a file or folder until its handle is closed or this process ends.

    False: another process has locked it. None: nobody can.
    """
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems have no locks
        return None
    return True


def _close(handle: int | None) -> None:
    if handle is not None:
        os.close(handle)


def _running(file: Path) -> int | None:
    """Return the number of the process in a file; None if it has ended, or there is none."""
    try:
        written = json.loads(file.read_text(encoding="utf-8"))
        number = int(written["process"])
        # Another process may have got the number since.
        same = abs(psutil.Process(number).create_time() - float(written["started"])) < 1
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
    return number if same else None
