"""What every method has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import torch

from ..problem import Problem
from ..progress import Step
from ..settings import Setting, Settings

LARGEST_SEED = 2**31 - 1

SEED_STRIDE = 1_000_003
"""Distance between the seeds of two pieces: a prime, so that the pieces of runs with near seeds differ, too."""


@dataclass(frozen=True, kw_only=True)
class Method(Settings, ABC):
    """Settings of a way to solve a problem; :meth:`fit` solves it."""

    label: ClassVar[str] = ""
    """What it is called in sentences and docks; if it is empty, its class's name is taken."""

    reason: ClassVar[str] = "the first method that can do it"
    """Why ``auto`` takes it, in a clause without a colon."""

    without_network: ClassVar[bool] = False
    """Whether it trains no network: the effort "fast" prefers it."""

    takes_guide: ClassVar[bool] = False
    """Whether it can use the guide of a problem."""

    @abstractmethod
    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield steps towards the image; the last one is the answer. To stop early, stop asking."""

    @abstractmethod
    def why_not(self, problem: Problem) -> str:
        """Return why this method cannot solve a problem, in a clause for people; empty if it can."""

    @abstractmethod
    def memory(self, problem: Problem) -> int:
        """Return the bytes that :meth:`fit` will need on the problem's device, estimated before the first is used."""

    @abstractmethod
    def seconds(self, problem: Problem) -> float:
        """Return about how long :meth:`fit` takes on a computer with two cores and AVX2, in float32.

        Estimated from the number of steps and the size of the image, before anything is computed. A method that stops
        by itself can be done sooner.
        """

    @classmethod
    @final
    def in_words(cls) -> str:
        """Return what the method is called in sentences and docks."""
        return cls.label or cls.__name__

    @final
    def refuse(self, problem: Problem) -> None:
        """Raise a ValueError if this method cannot solve a problem."""
        if reason := self.why_not(problem):
            raise ValueError(f"{reason}: choose the deep image prior")


@dataclass(frozen=True, kw_only=True)
class SeededMethod(Method):
    """A method in which something is random, all of it from one seed."""

    seed: Annotated[
        int,
        Setting(
            "Seed",
            "start of the random numbers: the same seed gives the same image, with the same version, device, "
            "instruction set and number of threads",
            0,
            LARGEST_SEED,
        ),
    ] = 0

    @final
    def generator(self, problem: Problem) -> torch.Generator:
        """Return the random numbers for a problem; they depend on its piece, not on the order of pieces or retries."""
        return torch.Generator().manual_seed((self.seed + SEED_STRIDE * problem.piece) % (LARGEST_SEED + 1))
