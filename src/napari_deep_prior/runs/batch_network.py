"""One network for the images of a batch: which of them it is trained on, and which ones it does not fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np

from ..methods import Method, SelfDistillation
from ..methods.shared_distillation import SharedDistillation
from ..problem import Problem
from ..progress.stages import run_stage
from ..tasks import Task
from ..training.model import Model
from .batch import Job, Work
from .efforts import name_of
from .errors import FAILURES
from .identity import identity
from .preparation import Preparation, prepare_first
from .setup import Setup
from .shared_network import LOOKED_AT, SharedNetwork, chosen, content

SLICES_PER_IMAGE = 4
"""Slices of an image of which the content is looked at."""

CHOOSING = "Choosing images to train on"


@final
@dataclass(frozen=True, order=True)
class _Kind:
    """What images must have in common for one network."""

    channels: int
    dtype: str

    @property
    def in_words(self) -> str:
        return f"{self.channels} channel{'s' * (self.channels > 1)} of {self.dtype}"


@final
@dataclass(frozen=True)
class _Seen:
    """A slice that was looked at, and how much there is to see in it."""

    job: Job
    piece: int
    content: float
    kind: _Kind
    identity: str


@final
class BatchNetwork:
    """Trains one network for the images of a batch, when the first of them is restored, and has all of them use it.

    Held-out pixels of each image decide how much it counts there. Images with another number of channels, or another
    type of pixels, than most are restored by themselves, which their record says.

    Parameters
    ----------
    jobs : sequence of Job
        All images.
    settings : Method
        How each of them would be restored.

    Raises
    ------
    ValueError
        If that is a method that trains no such network.
    """

    def __init__(self, jobs: Sequence[Job], settings: Method) -> None:
        if not isinstance(settings, SelfDistillation) or settings.members > 1 or not settings.shared:
            raise ValueError(
                "one network for all images is trained by self-distillation with one member, and "
                f"{name_of(settings)!r} was asked for, or several members, or none: choose --method self-distillation, "
                "or leave out --shared-model"
            )
        self._jobs, self._settings = list(jobs), settings
        self._network: SharedNetwork | None = None
        self._kind: _Kind | None = None
        self._identity = ""
        self._preparation: Preparation | None = None

    @property
    def jobs(self) -> list[Job]:
        """The same jobs, which use the network."""
        return [dataclasses.replace(job, open=partial(self._opened, job)) for job in self._jobs]

    def model(self, task: Task) -> Model | None:
        """Return the network; None before it is trained."""
        if self._network is None or self._network.distillation is None or self._preparation is None:
            return None
        about = {"task": task.command, "noise": self._preparation.prepared.noise}
        return self._network.distillation.model(about)

    def _opened(self, job: Job) -> Work:
        work = job.open()
        setup = work.setup
        if self._kind is None:
            run_stage(CHOOSING, self._choose)
        if self._network is None or self._kind is None:
            return work
        kind = _kind_of(setup)
        if "Z" in setup.source.piece_axes or setup.source.separate_channels:
            raise ValueError("one network for all images restores planes, with all channels: leave out --shared-model")
        if kind != self._kind:
            remark = (
                f"the network of the other images was not used: this one has {kind.in_words}, and most have "
                f"{self._kind.in_words}"
            )
            work.setup = dataclasses.replace(setup, file_remarks=(*setup.file_remarks, remark))
            return work
        own = identity(setup.identity, self._identity) if setup.identity else ""
        work.setup = dataclasses.replace(setup, network=self._network, identity=own)
        return work

    def _choose(self) -> None:
        """Choose the slices that the network is trained on: half of them show the most, the others are spread."""
        count = len(self._jobs)
        numbers = sorted({*np.linspace(0, count - 1, min(LOOKED_AT, count)).round().astype(int).tolist()})
        seen = [each for number in numbers for each in _seen_of(self._jobs[number])]
        kinds = [each.kind for each in seen]
        # Of two kinds that are equally frequent it is always the same one.
        self._kind = max(sorted(set(kinds)), key=kinds.count, default=_Kind(0, ""))
        contents = {each: each.content for each in seen if each.kind == self._kind}
        trained_on = chosen(contents)
        if not trained_on:
            return
        self._identity = identity([[each.identity, each.piece] for each in trained_on])
        names = ", ".join(dict.fromkeys(each.job.name for each in trained_on))
        distillation = SharedDistillation(
            self._settings, partial(self._problems, trained_on), slices=len(self._jobs), is_of_one_stack=False
        )
        self._network = SharedNetwork.of_batch(distillation, f"one network was trained for all images, on {names}")

    def _problems(self, trained_on: Sequence[_Seen]) -> Iterator[Problem]:
        """Yield the problems that the network is trained on, image after image."""
        for job in dict.fromkeys(each.job for each in trained_on):
            setup = job.open().setup
            preparation = prepare_first(setup)
            if preparation is None:
                continue
            self._preparation = self._preparation or preparation
            for each in trained_on:
                if each.job == job:
                    posed = preparation.pose(setup.task, setup.measured(setup.pieces[each.piece])[1])
                    if isinstance(setup.choose(posed.problem).method, SelfDistillation):
                        yield posed.problem


def _seen_of(job: Job) -> list[_Seen]:
    """Return some slices of an image with something to see; of what cannot be read, none."""
    try:
        setup = job.open().setup
        count = len(setup.pieces)
        numbers = np.linspace(0, count - 1, min(SLICES_PER_IMAGE, count)).round().astype(int).tolist()
        kind, own = _kind_of(setup), setup.identity
        found = [
            _Seen(job, number, content(setup, setup.pieces[number]), kind, own) for number in dict.fromkeys(numbers)
        ]
    except FAILURES:
        # What is wrong with it is said when its turn comes.
        return []
    return [each for each in found if each.content > 0]


def _kind_of(setup: Setup) -> _Kind:
    return _Kind(setup.source.lengths()[0], str(setup.source.dtype))
