"""What a run takes down while it goes on: for its record, and for people."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any, final

import torch
from torch import Tensor

from ..arrays.frame import to_dtype
from ..methods import Method
from ..methods.guidance import GuideComparison
from ..methods.unchanged import Unchanged
from ..physics.kernels import Kernel, SampledKernel, kernel_image
from ..physics.operators import Operator
from ..progress import Step
from ..tasks.task import Measured, Posed, Prepared
from . import report
from .devices import describe_device, instruction_set
from .diagnostics import Checks
from .identity import VERSION
from .pixel_type import changed_mean
from .preparation import Preparation
from .recommend import Choice, asked
from .record import NoiseRecord, Record
from .setup import Setup

BLUR_DIGITS = 5
"""Decimal places of a blur in the record, where it is only looked at."""


@final
@dataclass
class Notes:
    """Of every piece, or of the last one that it was true of.

    Parameters
    ----------
    method : Method
        The one that was asked for as soon as a piece could be restored by it, until then the one that stood in.
    elsewhere : dict of int to Notes
        What was noted of pieces, by their numbers, that other processes have restored.
    """

    method: Method
    reason: str
    checks: Checks
    instead: str = ""
    guided: Method | None = None
    was_asked: bool = False
    noise: NoiseRecord | None = None
    operator: Operator | None = None
    chosen_steps: list[int | None] = field(default_factory=list)
    passed_through: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    solved_pieces: int = 0
    rounded_means: dict[int, tuple[float, float]] = field(default_factory=dict)
    threads: int = field(default_factory=torch.get_num_threads)
    unit: str = report.SLICE
    elsewhere: dict[int, Notes] = field(default_factory=dict)

    @classmethod
    def of(cls, setup: Setup) -> Notes:
        """Return the notes of a run that has not begun."""
        method, reason = asked(setup.task, setup.wish)
        return cls(
            method=method,
            reason=reason,
            checks=Checks(setup.output.shape, kept=setup.diagnostics),
            unit=setup.unit,
        )

    def prepared(self, preparation: Preparation) -> None:
        """Take down what all pieces share."""
        self.operator = preparation.prepared.operator
        self.remarks += [*preparation.remarks, *preparation.prepared.remarks]

    def began(self, choice: Choice, posed: Posed, prepared: Prepared) -> None:
        """Take down how a piece is restored."""
        # Each thread of a program has a number of its own, and the record may be read in another one.
        self.threads = torch.get_num_threads()
        self.was_asked |= not choice.instead
        if not self.was_asked or not choice.instead:
            self.method = choice.method
            self.reason = choice.reason
        self.instead = choice.instead or self.instead
        self.guided = choice.guided
        self.remarks += posed.remarks
        words = report.noise_in_words(prepared.noise, posed.misfit)
        self.noise = NoiseRecord(misfit=posed.misfit, in_words=words, channels=prepared.noise)

    def solved(self, solver: Method | GuideComparison | Unchanged, posed: Posed) -> None:
        """Take down that a piece came to its end, and what a guide was worth if there was one."""
        self.solved_pieces += 1
        if isinstance(solver, GuideComparison):
            self.remarks.append(report.guide_in_words(solver, posed.guide_remark))

    def committed(self, step: Step, remark: str) -> None:
        """Take down of which step the image of a piece is, what is to be known of it, and what was put back into it."""
        self.chosen_steps.append(int(step.chosen))
        self.remarks += [step.remark, remark]

    def rounded(self, setup: Setup, measured: Measured, posed: Posed, image: Tensor) -> None:
        """Take down what rounding has made of the mean of a restored piece, if it has changed it."""
        dtype = setup.output.dtype
        if not setup.tells_rounding(dtype):
            return
        exact = posed.frame.to_image(image)
        means = changed_mean(exact, to_dtype(exact, dtype), setup.source.piece_axes)
        if means is not None:
            self.rounded_means[measured.piece.number] = means

    def passed(self, number: int, reason: object) -> None:
        """Take down why a piece, counted from 0, was not restored."""
        self.chosen_steps.append(None)
        self.passed_through.append(f"{self.unit} {number + 1}: {reason}")

    def skipped(self, number: int) -> None:
        """Take down that a piece was left as an earlier run has written it."""
        self.passed(number, report.RESTORED_EARLIER)

    @classmethod
    def of_skipped(cls, setup: Setup, number: int) -> Notes:
        """Return what is noted of a piece that an earlier run has written."""
        notes = cls.of(setup)
        notes.skipped(number)
        return notes

    def add(self, piece: Notes) -> None:
        """Take in what was noted of the next piece."""
        self.was_asked |= piece.was_asked
        if piece.noise is not None:
            if not self.was_asked or not piece.instead:
                self.method, self.reason = piece.method, piece.reason
            self.threads, self.instead = piece.threads, piece.instead or self.instead
            self.guided, self.noise = piece.guided, piece.noise
        self.chosen_steps += piece.chosen_steps
        self.passed_through += piece.passed_through
        self.remarks += piece.remarks
        self.solved_pieces += piece.solved_pieces
        self.rounded_means |= piece.rounded_means
        self.checks.extend(piece.checks)

    def whole(self) -> Notes:
        """Return the notes with those of all pieces that were restored elsewhere."""
        if not self.elsewhere:
            return self
        whole = copy.deepcopy(replace(self, elsewhere={}, checks=self.checks.without_arrays()))
        for _, piece in sorted(self.elsewhere.items()):
            whole.add(piece)
        return whole

    def record(self, setup: Setup, latest: list[int]) -> Record:
        """Return the record; ``latest`` is the step of the piece that is under way, if there is one."""
        checks = self.checks
        remarks = [self.instead, *dict.fromkeys(self.remarks), report.agreement_in_words(checks.agreements)]
        count = len(setup.pieces) if setup.tile is None else 1
        remarks.append(report.rounding_in_words(setup.output.dtype, self.rounded_means, count=count))
        # A result that was stopped is not to be taken for a finished one.
        finished = self.solved_pieces + len(self.passed_through) == len(setup.pieces)
        device, instructions = describe_device(setup.device), instruction_set()
        return Record(
            version=VERSION,
            torch=torch.__version__,
            device=device,
            threads=self.threads,
            instruction_set=instructions,
            repeatable=report.repeatable_in_words(
                f"Deep Prior {VERSION}", f"PyTorch {torch.__version__}", device, instructions, threads=self.threads
            ),
            task=setup.task,
            method=self.method,
            asked_method=setup.wish.method,
            effort=setup.wish.effort,
            reason=self.reason,
            instead=self.instead,
            axes=setup.source.axes,
            volume=setup.source.volume,
            dtype=str(setup.output.dtype),
            kernel=_given(setup.inputs.kernel, setup.operator),
            blur=_blur(self.operator or setup.operator),
            guided_by=None if self.guided is None else self.guided.to_json(),
            noise=self.noise,
            chosen_steps=[*self.chosen_steps, *latest],
            piece_count=len(setup.pieces),
            tile=setup.tile,
            passed_through=list(self.passed_through),
            residuals=list(checks.residuals),
            remarks=[*filter(None, remarks)],
            file_remarks=list(setup.file_remarks),
            identity=setup.identity if finished else "",
        )


def _given(kernel: Kernel | None, operator: Operator) -> list[Any] | None:
    """Return an image of a kernel with which the run can be made again."""
    if kernel is None:
        return None
    values = kernel.values if isinstance(kernel, SampledKernel) else kernel_image(kernel, operator.factors)
    image: list[Any] = values.tolist()
    return image


def _blur(operator: Operator) -> list[Any] | None:
    image = operator.blur_image()
    return None if image is None else image.round(BLUR_DIGITS).tolist()
