"""Which method is taken: the only place where one is chosen for a person, and why."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import final

from scipy.ndimage import distance_transform_edt

from ..estimation.residual_check import is_noiseless
from ..methods import DeepImagePrior, Method, TrainedNetwork
from ..methods.guidance import GuideComparison
from ..methods.method import SeededMethod
from ..methods.unchanged import Unchanged
from ..problem import Problem
from ..tasks import Task
from ..training.held_out import SCATTERED
from .efforts import AUTO, DEFAULT_EFFORT, PUBLISHED_FOR_HOLES, methods_of, name_of, settings_for

STAND_IN = "deep-image-prior"
"""What can try any problem."""

TRAINED = "trained-network"
"""What solves a problem for which a trained network was given, and no other one."""

SCATTERED_PIXELS = "scattered pixels"

SPARSE, LARGE = 0.9, 32
"""Share of missing pixels from which only single ones are known, and pixels from which on a hole is a large one."""


@final
@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person asks for.

    Parameters
    ----------
    method : str
        A name of ``METHODS``, or "auto".
    effort : str
        A name of ``EFFORTS``.
    settings : Method or None
        Exact settings instead of those of the table.
    volume : bool
        Whether Z, Y and X are restored together.
    """

    method: str = AUTO
    effort: str = DEFAULT_EFFORT
    settings: Method | None = None
    volume: bool = False


@final
@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is taken for a problem.

    Parameters
    ----------
    method : Method
        Its settings.
    guided : Method or None
        How the problem is solved with its guide; None if it has none.
    reason : str
        Why it was chosen, in a clause; empty where the person chose.
    instead : str
        Why it is not what was asked for, in a sentence; empty where it is.
    unchanged : bool
        Whether there is nothing to solve: noise is to be removed, and there is none.
    """

    method: Method
    guided: Method | None = None
    reason: str = ""
    instead: str = ""
    unchanged: bool = False

    def solver(self) -> Method | GuideComparison | Unchanged:
        """Return what solves the problem: the method, or the comparison without and with the guide."""
        if self.unchanged:
            return Unchanged()
        # What takes a guide has a seed.
        return GuideComparison(self.method, self.guided) if isinstance(self.guided, SeededMethod) else self.method

    @property
    def name(self) -> str:
        """Name of the method."""
        return name_of(self.method)


def candidates(task: Task, wish: Wish) -> list[tuple[str, str]]:
    """Return the names of the methods that ``auto`` tries, the best first, and why each would be taken.

    Raises
    ------
    ValueError
        If no method of the task has such an effort.
    """
    methods = methods_of(task)
    names = [name for name in methods if wish.effort in methods[name]]
    if not names:
        efforts = dict.fromkeys(effort for name in methods for effort in methods[name])
        raise ValueError(f"{task.command!r} has no effort {wish.effort!r}: choose one of {', '.join(efforts)}")
    reasons = {name: type(methods[name][wish.effort]).reason for name in names}
    if wish.effort == "published":
        reasons = dict.fromkeys(names, "as published")
    elif wish.effort == "fast":
        names.sort(key=lambda name: not methods[name][wish.effort].without_network)
    elif wish.volume and task.removes_noise:
        names.sort(key=lambda name: name != STAND_IN)
        reasons[STAND_IN] = "a network in three dimensions, which sees all of the depth"
    return [(name, reasons[name]) for name in names]


def asked(task: Task, wish: Wish) -> tuple[Method, str]:
    """Return the method that is taken unless the image speaks against it, and why if nobody chose it.

    Raises
    ------
    ValueError
        If there is no such method or effort for the task.
    """
    if wish.method != AUTO:
        return wish.settings or settings_for(task, wish.method, wish.effort), ""
    name, reason = candidates(task, wish)[0]
    return wish.settings or settings_for(task, name, wish.effort), reason


def recommend(task: Task, problem: Problem, wish: Wish) -> Choice:
    """Return what solves a problem: what was asked for, else the next best, in the end the deep image prior.

    Raises
    ------
    ValueError
        If it is the deep image prior itself that cannot solve it.
    """
    if problem.model is not None:
        return _with_model(task, problem, wish)
    method, reason = asked(task, wish)
    if isinstance(method, TrainedNetwork):
        raise ValueError(f"{method.why_not(problem)}, or choose another method")
    if task.command == "inpaint" and method == with_seed_of(settings_for(task, STAND_IN, "published"), method):
        holes = kind_of_holes(problem)
        remark = "" if holes == SCATTERED_PIXELS else f"the network was chosen for {holes}"
        return _choice(task, problem, with_seed_of(PUBLISHED_FOR_HOLES[holes], method), reason, remark)
    clause = method.why_not(problem)
    if not clause:
        return _choice(task, problem, method, reason)
    if wish.method == AUTO and wish.settings is None:
        for name, _ in candidates(task, wish):
            other = settings_for(task, name, wish.effort)
            if name != STAND_IN and not other.why_not(problem):
                return _choice(task, problem, other, clause)
    if isinstance(method, DeepImagePrior):
        raise ValueError(clause)
    stand_in = with_seed_of(settings_for(task, STAND_IN), method)
    return _choice(task, problem, stand_in, "", f"{clause}: the deep image prior was used instead")


def _with_model(task: Task, problem: Problem, wish: Wish) -> Choice:
    """Return the choice of a trained network that was given.

    Raises
    ------
    ValueError
        If the network cannot solve the problem, or something was asked for that excludes it.
    """
    method = wish.settings
    if method is None and wish.method in (AUTO, TRAINED):
        method = settings_for(task, TRAINED, wish.effort)
    if not isinstance(method, TrainedNetwork):
        other = repr(wish.method) if method is None else f"{name_of(method)!r}, of which settings were given,"
        raise ValueError(f"{other} does not use the trained network that was given: leave out one of them")
    if problem.guide is not None:
        raise ValueError("a guide and a trained network exclude each other: leave out one of them")
    if clause := method.why_not(problem):
        raise ValueError(f"{clause}: give another network, or leave it out")
    return _choice(task, problem, method, method.reason)


def _choice(task: Task, problem: Problem, method: Method, reason: str, instead: str = "") -> Choice:
    guided = None
    if problem.guide is not None:
        guided = method if method.takes_guide else with_seed_of(settings_for(task, STAND_IN), method)
    unchanged = task.removes_noise and is_noiseless(problem)
    return Choice(method=method, guided=guided, reason=reason, instead=instead, unchanged=unchanged)


def kind_of_holes(problem: Problem) -> str:
    """Return which of ``PUBLISHED_FOR_HOLES`` fits what is missing of a problem."""
    missing = (problem.weight == 0).any(dim=1)[0].cpu().numpy()
    if missing.all():
        # A problem without data, from which memory and time are estimated.
        return SCATTERED_PIXELS
    if missing.mean() > SPARSE:
        return "few known pixels"
    planes = missing.reshape(-1, *missing.shape[-2:])
    widest = max(2 * float(distance_transform_edt(plane).max()) for plane in planes)
    if widest > LARGE:
        return "a large hole"
    return SCATTERED_PIXELS if missing.mean() > SCATTERED else "text and scratches"


def with_seed_of(method: Method, other: Method) -> Method:
    """Return a method with the seed of another one, where both have one."""
    if isinstance(method, SeededMethod) and isinstance(other, SeededMethod):
        return dataclasses.replace(method, seed=other.seed)
    return method
