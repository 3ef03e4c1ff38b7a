"""What a run takes down while it goes on: for its record, and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, final

import torch
from torch import Tensor

from ..arrays.frame import to_dtype
from ..methods import METHODS, Method
from ..methods.guidance import GuideComparison
from ..methods.shared_distillation import SharedDistillation
from ..physics.kernels import Kernel, SampledKernel, kernel_image
from ..physics.noise_model import NoiseModel
from ..physics.operators import Operator
from ..progress import Step
from ..tasks.task import Measured, Posed
from . import report
from .devices import describe_device, instruction_set
from .diagnostics import Checks
from .halving import Solver
from .identity import VERSION
from .pixel_type import changed_mean
from .preparation import Preparation
from .recommend import Choice, asked
from .record import NoiseRecord, Record
from .setup import Setup
from .shared_network import shared_in_words

KEPT = (
    "reason",
    "instead",
    "was_asked",
    "misfit",
    "threads",
    "chosen_steps",
    "passed_through",
    "remarks",
    "solved_pieces",
    "network_shares",
    "trained_on",
)
"""What is kept of a piece for a run that goes on later, beside methods and numbers."""

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
    pieces : dict of int to Notes
        What was noted of each piece, by its number, in whatever order they were restored.
    """

    method: Method
    reason: str
    checks: Checks
    instead: str = ""
    guided: Method | None = None
    was_asked: bool = False
    misfit: str = ""
    channels: tuple[NoiseModel, ...] = ()
    operator: Operator | None = None
    chosen_steps: list[int | None] = field(default_factory=list)
    passed_through: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    solved_pieces: int = 0
    rounded_means: dict[int, tuple[float, float]] = field(default_factory=dict)
    network_shares: list[float] = field(default_factory=list)
    trained_on: list[int] = field(default_factory=list)
    threads: int = field(default_factory=torch.get_num_threads)
    unit: str = report.SLICE
    pieces: dict[int, Notes] = field(default_factory=dict)

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

    def piece(self, number: int, setup: Setup) -> Notes:
        """Return the notes of a piece, which are part of these."""
        notes = Notes.of(setup)
        notes.checks.arrays = self.checks.arrays
        self.pieces[number] = notes
        return notes

    def prepared(self, preparation: Preparation) -> None:
        """Take down what all pieces share."""
        self.operator, self.channels = preparation.prepared.operator, preparation.prepared.noise
        self.remarks += [*preparation.remarks, *preparation.prepared.remarks]

    def began(self, choice: Choice, posed: Posed) -> None:
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
        self.misfit = posed.misfit

    def solved(self, solver: Solver, posed: Posed) -> None:
        """Take down that a piece came to its end, and what a guide was worth if there was one."""
        self.solved_pieces += 1
        if isinstance(solver, SharedDistillation):
            self.network_shares.append(float(solver.shares[-1]))
            self.trained_on = list(solver.trained_on) if solver.is_of_one_stack else []
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

    def skipped(self, number: int, noted: Mapping[str, Any]) -> None:
        """Take down that a piece was left as an earlier run has written it, and what that run has noted of it."""
        if noted:
            self._take(noted)
        else:
            self.passed(number, report.RESTORED_EARLIER)

    def to_json(self) -> dict[str, Any]:
        """Return what is to be kept of a piece for a run that goes on after this one, as JSON types."""
        return {
            **{name: getattr(self, name) for name in KEPT},
            "method": self.method.to_json(),
            "guided": None if self.guided is None else self.guided.to_json(),
            "rounded_means": [[number, *means] for number, means in self.rounded_means.items()],
            "agreements": self.checks.agreements,
        }

    def _take(self, noted: Mapping[str, Any]) -> None:
        """Take in what :meth:`to_json` has returned in an earlier run."""
        for name in KEPT:
            setattr(self, name, noted[name])
        method, guided = (_method_of(noted[name]) for name in ("method", "guided"))
        self.method, self.guided = method or self.method, guided
        self.rounded_means = {number: (before, after) for number, before, after in noted["rounded_means"]}
        self.checks.agreements = noted["agreements"]

    def add(self, piece: Notes) -> None:
        """Take in what was noted of the next piece."""
        self.was_asked |= piece.was_asked
        if piece.misfit:
            if not self.was_asked or not piece.instead:
                self.method, self.reason = piece.method, piece.reason
            self.threads, self.instead = piece.threads, piece.instead or self.instead
            self.guided, self.misfit = piece.guided, piece.misfit
        self.chosen_steps += piece.chosen_steps
        self.passed_through += piece.passed_through
        self.remarks += piece.remarks
        self.network_shares += piece.network_shares
        self.trained_on = sorted({*self.trained_on, *piece.trained_on})
        self.solved_pieces += piece.solved_pieces
        self.rounded_means |= piece.rounded_means
        self.checks.extend(piece.checks)

    def whole(self) -> Notes:
        """Return the notes with those of all pieces, in order."""
        whole = replace(
            self,
            pieces={},
            checks=self.checks.without_arrays(),
            chosen_steps=[*self.chosen_steps],
            passed_through=[*self.passed_through],
            remarks=[*self.remarks],
            rounded_means={**self.rounded_means},
            network_shares=[*self.network_shares],
        )
        for _, piece in sorted(self.pieces.items()):
            whole.add(piece)
        return whole

    def _remarks(self, setup: Setup) -> list[str]:
        """Return what is to be known of the result, a sentence each."""
        count = len(setup.pieces) if setup.tile is None else 1
        separate = setup.source.separate_channels
        remarks = [
            self.instead,
            *dict.fromkeys(self.remarks),
            report.agreement_in_words(self.checks.agreements),
            report.rounding_in_words(setup.output.dtype, self.rounded_means, count=count),
            shared_in_words(self.network_shares, self.trained_on, separate_channels=separate),
        ]
        return [*filter(None, remarks)]

    def record(self, setup: Setup, latest: list[int]) -> Record:
        """Return the record; ``latest`` is the step of the piece that is under way, if there is one."""
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
            separate_channels=setup.source.separate_channels,
            dtype=str(setup.output.dtype),
            kernel=_given(setup.inputs.kernel, setup.operator),
            blur=_blur(self.operator or setup.operator),
            guided_by=None if self.guided is None else self.guided.to_json(),
            noise=_noise_record(self.misfit, self.channels),
            chosen_steps=[*self.chosen_steps, *latest],
            piece_count=len(setup.pieces),
            tile=setup.tile,
            passed_through=list(self.passed_through),
            residuals=list(self.checks.residuals),
            remarks=self._remarks(setup),
            file_remarks=list(setup.file_remarks),
            identity=setup.identity if finished else "",
        )


def _noise_record(misfit: str, channels: tuple[NoiseModel, ...]) -> NoiseRecord | None:
    """Return what is recorded of the noise; None if no piece was looked at."""
    if not misfit:
        return None
    return NoiseRecord(misfit=misfit, in_words=report.noise_in_words(channels, misfit), channels=channels)


def _method_of(noted: Mapping[str, Any] | None) -> Method | None:
    """Return a method from its JSON; None if there is none, or it has no name of its own."""
    kinds = {kind.__name__: kind for kind in METHODS.values()}
    if noted is None or noted["kind"] not in kinds:
        return None
    return kinds[noted["kind"]].from_json(noted)


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
