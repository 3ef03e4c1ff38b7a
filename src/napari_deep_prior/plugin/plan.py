"""What will run, why, about how long and with how much memory, and the noise of the image: said before the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from qtpy.QtCore import QTimer, Signal  # type: ignore[attr-defined]  # qtpy renames it at run time
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ..arrays.axes import Array, stack_axes
from ..estimation.channels import correlation_length, estimate_windows
from ..estimation.impossible_noise import objections
from ..estimation.sampling import windows_of
from ..physics.noise_model import NoiseModel
from ..runs.errors import RestorationError
from ..runs.report import disagreement_in_words, noise_sentence, objection_in_words, sentence
from ..runs.source import real_type
from .background import in_background
from .labels import ERROR_STYLE, text_label
from .layers import Part, pixels_of
from .request import Request

DELAY = 300
"""Milliseconds without a change before the plan is made again: one plan for a number that is typed."""

NOISE_SIDE = 1024
"""Pixels along a side from which the noise is estimated; more would only take longer."""


ESTIMATING = "Estimating time and memory …"
"""What stands where there was no plan, until there is one."""


@final
@dataclass(frozen=True)
class ImageNoise:
    """The noise of the image, doubts about it, and what it was estimated from."""

    key: object
    channels: tuple[NoiseModel, ...]
    doubts: tuple[str, ...] = ()

    def in_words(self) -> str:
        """Return sentences for people."""
        return " ".join([noise_sentence(self.channels), *map(sentence, self.doubts)])


@final
@dataclass(frozen=True)
class Plan:
    """Sentences on a run that has not begun; ``problem`` says why it cannot begin."""

    noise: ImageNoise | None = None
    words: str = ""
    problem: str = ""


@final
class PlanNotes(QWidget):
    """The lines that say the plan; made again, in a thread, a moment after something has changed.

    Parameters
    ----------
    tells_noise : bool
        Whether the noise is worth a line.
    """

    wanted = Signal()
    """Nothing has changed for a moment: it is time to call :meth:`make`."""

    def __init__(self, *, tells_noise: bool) -> None:
        super().__init__()
        self._tells_noise = tells_noise
        self._noise: ImageNoise | None = None
        self._busy = self._again = False
        self.plan_note = text_label("", "plan_note")
        self.noise_note = text_label("", "noise_note")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for note in (self.plan_note, self.noise_note):
            column.addWidget(note)
            note.hide()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY)
        self._timer.timeout.connect(self._moment_passed)

    def update_soon(self) -> None:
        """Have the plan made again when nothing changes for a moment."""
        self._timer.start()

    def make(self, request: Request, given: Mapping[str, Any]) -> None:
        """Make the plan and show it (see :func:`make_plan`)."""
        if self.plan_note.styleSheet() or not self.plan_note.text():
            self._show(Plan(self._noise, words=ESTIMATING))
        worker = in_background(make_plan, request, given, self._noise)
        worker.returned.connect(self._show)
        worker.finished.connect(self._finished)
        self._busy = True
        worker.start()

    def clear(self) -> None:
        """Show nothing: there is no layer."""
        self._show(Plan())

    def show_problem(self, problem: str) -> None:
        """Show why there is no plan."""
        self._show(Plan(self._noise, problem=problem))

    def _moment_passed(self) -> None:
        # One plan at a time: the next one is made of what the form says then.
        if self._busy:
            self._again = True
        else:
            self.wanted.emit()

    def _show(self, plan: Plan) -> None:
        self._noise = plan.noise
        self.plan_note.setText(sentence(plan.problem or plan.words))
        self.plan_note.setStyleSheet(ERROR_STYLE if plan.problem else "")
        self.plan_note.setVisible(bool(self.plan_note.text()))
        noise = plan.noise.in_words() if plan.noise is not None and self._tells_noise else ""
        self.noise_note.setText(noise)
        self.noise_note.setVisible(bool(noise))

    def _finished(self) -> None:
        self._busy = False
        if self._again:
            self._again = False
            self.wanted.emit()


def make_plan(request: Request, given: Mapping[str, Any], known: ImageNoise | None) -> Plan:
    """Return sentences on a run; of a lazy layer only the middle of the slice that is shown is read.

    Parameters
    ----------
    given : mapping
        What takes the place of the inputs, by their name in ``INPUTS``.
    known : ImageNoise or None
        The noise as it was estimated the last time.
    """
    noise = _noise(request, known)
    try:
        setup = request.outline(request.part(), given)
        length = 1 if noise is None else correlation_length(noise.channels)
        return Plan(noise, words=setup.forecast(correlation_length=length).in_words())
    except (ValueError, RestorationError, RuntimeError) as error:
        # Whatever PyTorch raises is a RuntimeError, which superqt's worker takes for its own end and says nothing.
        return Plan(noise, problem=str(error))


def _noise(request: Request, known: ImageNoise | None) -> ImageNoise | None:
    """Return the noise as a run will estimate it, of what is lazy from the slice that is shown; None if it cannot be.

    Of a large plane only the middle is looked at.
    """
    given = request.task.given_noise
    try:
        part = request.part()
        if not isinstance(part.pixels, np.ndarray):
            part = request.shown_slice()
        real_type(part.pixels)
        key = (id(pixels_of(request.layer)), part.axes, part.pixels.shape, part.offset, part.channels, given)
        if known is not None and known.key == key:
            return known
        windows = windows_of(_middle(part) if _is_plane(part) else part.pixels, part.axes)
        channels, disagreements = estimate_windows(windows, given)
    except ValueError:
        # What is wrong with the image or the axes is said by the set-up.
        return None
    doubts = [objection_in_words(clause) for _, clause in objections(windows, given)]
    doubts += [disagreement_in_words(each) for each in disagreements]
    return ImageNoise(key, channels, tuple(doubts))


def _is_plane(part: Part) -> bool:
    lengths = dict(zip(part.axes, part.pixels.shape, strict=True))
    return all(lengths[letter] == 1 for letter in stack_axes(part.axes, volume=False))


def _middle(part: Part) -> Array:
    middle = []
    for letter, length in zip(part.axes, part.pixels.shape, strict=True):
        start = max(0, (length - NOISE_SIDE) // 2) if letter in "YX" else 0
        middle.append(slice(start, start + NOISE_SIDE if letter in "YX" else length))
    return np.asarray(part.pixels[tuple(middle)])
