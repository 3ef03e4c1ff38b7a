"""Failures of a run, in sentences: what the device lacked, and what helps."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ..problem import Problem
from ..progress.stages import run_stage
from ..tasks import Task
from .devices import free_memory

OUT_OF_MEMORY_WORDS = ("can't allocate memory", "not enough memory", "could not create a primitive", "std::bad_alloc")
"""What the libraries under PyTorch say on the CPU when there is no memory left."""


class RestorationError(Exception):
    """A run that failed while it was under way, in one sentence. What was restored so far is kept."""


class OutOfMemoryError(RestorationError):
    """The device has not enough memory for this image with these settings."""


class NotWrittenError(RestorationError):
    """There is no place for a result, such as on a full disk. The next one would have none either."""


class OtherResultError(ValueError):
    """Where a result is to go lies something else, which may not be replaced."""


@contextmanager
def errors_as_sentences(device: torch.device) -> Iterator[None]:
    """Turn what a device raises within the context into a :class:`RestorationError`."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise RestorationError(f"the run on {device} failed: {_first_sentence(error)}") from error
        sentence = _no_memory(device, _asked_for(error), free_memory(device))
        # An error keeps the tensors of the step that failed, and what was restored so far needs memory to be finished.
        traceback.clear_frames(error.__traceback__)
        raise OutOfMemoryError(sentence) from error


def checked_if_there_is_memory(task: Task, problem: Problem, image: Tensor) -> tuple[Tensor, str]:
    """Return an image as a task has checked it, and what had to be changed; as it is where that lacks memory."""
    try:
        return run_stage("Checking what was removed", lambda: task.checked(problem, image))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return image, "there was no memory left to look for structure in what was removed"


FAILURES = (ValueError, OSError, RestorationError, MemoryError, RuntimeError, ImportError, SystemError)
"""What an image that cannot be restored raises, from its file to its result."""


def failure_in_words(error: BaseException) -> str:
    """Return a sentence on one of ``FAILURES``."""
    if isinstance(error, ValueError | OSError | RestorationError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"not enough memory for an image of this size: crop it, or close other programs. {error}".strip()
    reason = _first_sentence(error)
    if isinstance(error, ImportError):
        return f"a library could not be loaded ({reason}): give the program more memory, or install it anew"
    if is_out_of_memory(error):
        return f"not enough memory ({reason}): crop the image, or close other programs"
    return f"the image could not be restored: {reason}"


def refuse_without_memory(device: torch.device, needed: int) -> None:
    """Raise an :class:`OutOfMemoryError` if a device has less memory than the bytes that are needed."""
    if needed > free_memory(device):
        raise no_memory_for(device, needed)


def no_memory_for(device: torch.device, needed: int, limit: int | None = None) -> OutOfMemoryError:
    """Return the error of a device with less memory than the bytes that are needed, or with a limit that was given."""
    free, asked = free_memory(device), f"this run needs about {_gigabytes(needed)}"
    if limit is not None and limit < free:
        return OutOfMemoryError(
            f"{asked} and may take {_gigabytes(limit)}, which is too little for a tile: allow more memory, or choose a "
            "method that needs less"
        )
    return OutOfMemoryError(_no_memory(device, asked, free))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a device, or the computer, has no memory left."""
    # On the CPU neither the allocator nor oneDNN, whose primitives need memory, has an error type of its own.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        words in str(error) for words in OUT_OF_MEMORY_WORDS
    )


def _no_memory(device: torch.device, needed: str, free: int) -> str:
    return (
        f"not enough memory on {device}: {needed}, {_gigabytes(free)} are free. Crop the image, choose fewer or "
        "smaller 'channels' or a smaller factor, restore a stack slice by slice, or close other programs"
    )


def _asked_for(error: BaseException) -> str:
    """Return what an allocator could not give, without the places in its source code."""
    found = re.search(r"allocate ([\d.]+) ?(bytes|[KMGT]iB)", str(error))
    if found is None:
        return "the run asked for more than there is"
    amount = _gigabytes(int(found[1])) if found[2] == "bytes" else f"{found[1]} {found[2]}"
    return f"the run asked for {amount} more"


def _gigabytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"


def _first_sentence(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
