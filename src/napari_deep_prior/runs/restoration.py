"""Restoration: the iterator that the viewer, the command line and a script all drive."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Self, final

import numpy as np
import numpy.typing as npt

from ..arrays.frame import MissingPixelsError, NothingToRestoreError
from ..progress import Step
from .errors import errors_as_sentences
from .executor import restored_elsewhere
from .halving import Halving
from .notes import Notes
from .preparation import Preparation, prepare, prepare_first
from .record import Record
from .setup import Setup
from .under_way import UnderWay


@final
class Restoration(Iterator[Step]):
    """A run that :func:`restore` made: iterate it, stop when you like, and read the answer so far from :attr:`image`.

    Pieces of an array are restored one after another; ``piece_number`` of ``piece_count`` is under way, and those not
    reached yet are the input's. One of several with nothing to restore is passed through, as is one of a lazy array
    with missing pixels. ``preparation`` is what all pieces share, if it is known.
    """

    def __init__(self, setup: Setup, preparation: Preparation | None = None) -> None:
        self.setup, self.task, self.device = setup, setup.task, setup.device
        self.piece_number, self.piece_count = 0, len(setup.pieces)
        self._unreached = list(setup.pieces)
        self._source, self._output = setup.source, setup.output
        self.notes = Notes.of(setup)
        self._halving = Halving(self.task.tile_multiple, tell=self.notes.remarks.append)
        self._shared = None if preparation is None else self._share(preparation)
        self._latest: UnderWay | None = None
        self._over = False
        self._steps = self._run()

    @property
    def axes(self) -> str:
        """One letter per axis, of the input and of the result."""
        return self._source.axes

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes of the result."""
        return self._output.shape

    @property
    def factors(self) -> dict[str, float]:
        """Pixels of the result in one of the input, by axis letter; what is not named is 1."""
        return self.setup.factors

    @property
    def image(self) -> npt.NDArray[Any]:
        """The answer so far: axes and intensities of the input, of the type that was asked for.

        A copy while the run is under way, or if the result lies on the disk; else the result itself.
        """
        image = self._output.image() if (kept := self._over and self._output.memory > 0) else self._output.snapshot()
        if self._latest is not None:
            piece, (checked, _) = self._latest.measured.piece, self._latest.checked()
            image[piece.write] = self._latest.values(checked, self._output.dtype)[piece.inner]
        for piece in self._unreached:
            image[piece.write] = self.setup.untouched(piece, self._output.dtype)[piece.inner]
        if kept:
            self._unreached = []
        return np.asarray(image)

    @property
    def growing(self) -> Any:
        """The array that the pieces are written into, 0 where none was yet; the first step makes its type certain."""
        return self._output.image()

    def check(self) -> None:
        """Examine what was removed from the piece under way, as :meth:`close` does; it can be stopped there."""
        _ = self._latest and self._latest.checked()

    def show_latest(self) -> tuple[Any, ...] | None:
        """Write the unchecked answer so far of a piece into :attr:`growing`; return where, None before a step."""
        if self._latest is None:
            return None
        piece = self._latest.measured.piece
        self._output.preview(piece, self._latest.values(self._latest.step.image, self._output.dtype))
        return piece.write

    @property
    def unreached(self) -> list[int]:
        """Numbers of the pieces of which no step was made."""
        return [piece.number for piece in self._unreached]

    @property
    def diagnostics(self) -> dict[str, npt.NDArray[Any]]:
        """What the finished pieces can be checked by, if it was asked for; float32, in the axes of the input.

        "residual": what was taken away, over its noise. "uncertainty": standard deviation between members, if several.
        """
        return dict(self.notes.checks.arrays)

    @property
    def record(self) -> Record:
        """What was done: enough to do it again."""
        latest = [] if self._latest is None else [int(self._latest.step.chosen)]
        return self.notes.whole().record(self.setup, latest)

    @property
    def model(self) -> Any:
        """The network of all slices of a stack (:class:`.Model`); None before it is trained, or if there is none."""
        return None if self._shared is None else self._shared.model(self.task)

    def __next__(self) -> Step:
        """Return the next step.

        Raises
        ------
        RestorationError
            If the device fails or its memory does not suffice; :attr:`image` still is the answer so far.
        """
        with errors_as_sentences(self.device):
            return next(self._steps)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def finish(self) -> npt.NDArray[Any]:
        """Run to the end, give the device's memory back and return the image."""
        with self:
            for _ in self:
                pass
        return self.image

    def close(self) -> None:
        """End the run and give the device's memory back; :attr:`image` and :attr:`record` stay."""
        self._steps.close()
        try:
            with errors_as_sentences(self.device):
                if self._latest is not None:
                    self._commit(finished=False)
        finally:
            self._over = True
            self._output.close()
            self._halving.give_back(self.device)

    def _run(self) -> Generator[Step]:
        executor = self.setup.executor
        if executor is not None and (shared := self._shared or prepare_first(self.setup)) is not None:
            for part in restored_elsewhere(executor, self.setup, self._shared or self._share(shared), self.notes):
                self._unreached.remove(self.setup.pieces[part.number])
                self.piece_number = self.piece_count - len(self._unreached)
                if part.step is not None:
                    yield part.step
            return
        for piece in self.setup.pieces:
            self.piece_number = piece.number + 1
            # What all pieces share is estimated also where an earlier run has written the first of them already.
            done = self._output.done(piece)
            if done and self._shared is not None:
                self._skip()
                continue
            try:
                block, measured = self.setup.measured(piece)
            except (NothingToRestoreError, MissingPixelsError) as error:
                self._pass(piece.number, error)
                continue
            shared = self._shared or self._share(prepare(self.setup, block, measured))
            if done:
                self._skip()
                continue
            posed = shared.pose(self.task, measured)
            choice = self.setup.choose(posed.problem)
            notes = self.notes.piece(piece.number, self.setup)
            notes.began(choice, posed)
            solver = shared.solver(self.setup, choice, measured.channel)
            for step in self._halving.fit(solver, posed.problem, partial(shared.pose_on, self.task, measured)):
                if self._latest is None:
                    del self._unreached[0]
                self._latest = UnderWay(self.setup, measured, posed, step)
                yield step
            notes.solved(solver, posed)
            self._commit(finished=True)

    def _share(self, preparation: Preparation) -> Preparation:
        """Take what all pieces share, and return it."""
        self._shared = preparation
        self._output.become(preparation.dtype)
        self.notes.prepared(preparation)
        return preparation

    def _pass(self, number: int, error: ValueError) -> None:
        """Pass a piece through that cannot be restored, and take a note of the reason."""
        # At the first piece nothing is lost yet: the person can still say what to do with missing pixels.
        if self.piece_count == 1 or (number == 0 and isinstance(error, MissingPixelsError)):
            raise error
        piece = self._unreached.pop(0)
        notes = self.notes.piece(number, self.setup)
        notes.passed(number, error)
        self._output.write(piece, self.setup.untouched(piece, self._output.dtype), notes.to_json())

    def _skip(self) -> None:
        """Leave the next piece as an earlier run has written it."""
        piece = self._unreached.pop(0)
        self.notes.piece(piece.number, self.setup).skipped(piece.number, self._output.noted(piece))

    def _commit(self, *, finished: bool) -> None:
        """Write a piece into the result and forget its tensors; only a finished one counts as done in a later run."""
        assert self._latest is not None and self._shared is not None  # noqa: S101, PT018  (both callers have looked)
        measured, posed, step = self._latest.measured, self._latest.posed, self._latest.step
        image, remark = self._latest.checked()
        notes, values = self.notes.pieces[measured.piece.number], self._latest.values(image, self._output.dtype)
        notes.committed(step, remark)
        notes.rounded(self.setup, measured, posed, image)
        notes.checks.add(measured, posed, self._shared.prepared.of(measured.channel).noise, replace(step, image=image))
        put = partial(self._output.write, note=notes.to_json()) if finished else self._output.preview
        put(measured.piece, values)
        self._latest = None
