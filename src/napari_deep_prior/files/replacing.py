"""Files that are written whole or not at all, and in the place of an old one only as it was allowed."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .locking import locked

PREFIX = ".deep-prior-"
"""How the names of files begin that are not complete yet; of one length, so that any name of a result can be used."""

RANDOM_BYTES = 4
"""Of the rest of those names, written as hexadecimal digits."""

WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH

SETTLED = 60.0
"""Seconds without a change after which an incomplete file may be removed on Windows: it is closed before its rename."""


def refuse_place(file: Path, *, overwrite: bool) -> None:
    """Raise a ValueError, before any work is done, if no file can be written there, or one must not be replaced."""
    try:
        _refuse_old(file, overwrite=overwrite)
        # Only asking for it shows that a name is too long for the file system; a missing file is what is hoped for.
        with contextlib.suppress(FileNotFoundError):
            file.stat()
    except OSError as error:
        raise ValueError(f"cannot write {str(file)!r}: {error.strerror}") from error
    folder = _followed(file).parent
    if not folder.is_dir():
        raise ValueError(f"cannot write {str(file)!r}: there is no folder {str(folder)!r}")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"cannot write into the folder {str(folder)!r}: {error.strerror}") from error


def replace_file(file: Path, write_to: Callable[[str], None]) -> None:
    """Write a file whole: whatever happens meanwhile, the old one is there or the new one.

    A symbolic link stays, and the file that it names is written. A file that is replaced hands its permissions on.

    Parameters
    ----------
    write_to : function
        Writes the file under the name that it is given.
    """
    target = _followed(file)
    _remove_remains(target.parent)
    handle, name = _locked_file(target)
    try:
        try:
            write_to(name)
            if target.exists():
                _hand_permissions_on(target, Path(name))
            # A file system may store the new name before the content, and a power cut would leave an empty file.
            os.fsync(handle)
            if sys.platform != "win32":
                Path(name).replace(target)
        finally:
            os.close(handle)
        if sys.platform == "win32":  # an open file cannot be renamed there
            Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)
    _store_names(target.parent)


def write_text(file: Path, text: str) -> None:
    """Write a text file whole, UTF-8, with the ends of its lines as they are (see :func:`replace_file`)."""
    replace_file(file, lambda name: _write_under(name, text))


def _write_under(name: str, text: str) -> None:
    Path(name).write_text(text, encoding="utf-8", newline="")


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Let no other batch write into a folder within the context, where the system has locks of folders.

    Raises
    ------
    ValueError
        If another one does.
    """
    if sys.platform == "win32":
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        if locked(handle) is False:
            raise ValueError(
                f"another batch writes into {str(folder)!r}: wait until it has ended, or choose another folder"
            )
        yield
    finally:
        os.close(handle)


def _refuse_old(file: Path, *, overwrite: bool) -> None:
    """Raise a ValueError if what has the name already must stay."""
    if file.is_dir():
        raise ValueError(f"cannot write {str(file)!r}: it is a folder")
    if not file.exists():
        return
    if not overwrite:
        raise ValueError(f"{str(file)!r} exists already: choose another name, or allow it with --overwrite")
    mode = file.stat().st_mode
    if not stat.S_ISREG(mode):
        raise ValueError(f"cannot write {str(file)!r}: it is a device or a pipe and no file")
    # The administrator may write to any file, but whoever made it read-only meant it to stay.
    if not mode & WRITABLE or not os.access(file, os.W_OK):
        raise ValueError(f"{str(file)!r} is read-only: choose another name, or allow writing to it first")


def _followed(file: Path) -> Path:
    """Return the file that links lead to."""
    return Path(os.path.realpath(file))


def _locked_file(target: Path) -> tuple[int, str]:
    """Make an empty file beside another one; return a handle, which tells others that it is in use, and its name."""
    while True:
        name = str(target.with_name(f"{PREFIX}{secrets.token_hex(RANDOM_BYTES)}{target.suffix}"))
        try:
            # The permissions are those of any new file: the system takes from them what the person's umask forbids.
            handle = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0), 0o666)
        except FileExistsError:
            continue
        # Another run may have taken it for a remain before it was locked.
        if locked(handle) is not False and Path(name).exists():
            return handle, name
        os.close(handle)


def _remove_remains(folder: Path) -> None:
    """Remove the incomplete files of runs that were killed; those of runs that go on are locked, or open."""
    for remain in folder.glob(f"{PREFIX}{'[0-9a-f]' * 2 * RANDOM_BYTES}.*"):
        with contextlib.suppress(OSError):  # of another person, or another run was faster
            if sys.platform == "win32":
                if time.time() - remain.stat().st_mtime > SETTLED:
                    remain.unlink()
                continue
            handle = os.open(remain, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if locked(handle):
                    remain.unlink()
            finally:
                os.close(handle)


def _hand_permissions_on(old: Path, new: Path) -> None:
    """Give a file owner, permissions and access list of another one, as far as this person may."""
    if sys.platform != "win32":
        before = old.stat()
        for owner, group in ((-1, before.st_gid), (before.st_uid, -1)):
            with contextlib.suppress(OSError):
                os.chown(new, owner, group)
    shutil.copystat(old, new)
    os.utime(new)


def _store_names(folder: Path) -> None:
    """Have the names in a folder stored, where the system can."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
