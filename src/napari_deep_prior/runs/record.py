"""The record of a run: what was done, enough to do it again; saved with every result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

from ..methods import METHODS, Method
from ..physics.noise_model import NoiseModel
from ..tasks import TASKS, Task
from .efforts import name_of
from .piece_words import unit_of
from .recommend import Wish, asked

NOT_UNDERSTOOD = "there are no settings of Deep Prior that this version understands"

SCHEMA = 1
"""Changes with the meaning of the fields: a record of another number is not read."""


@final
@dataclass(frozen=True, kw_only=True)
class NoiseRecord:
    """The noise of every channel, as estimated or given, and the name of the misfit that was chosen for it."""

    misfit: str
    in_words: str
    channels: tuple[NoiseModel, ...]


@final
@dataclass(frozen=True, kw_only=True)
class Record:
    """What was done.

    Parameters
    ----------
    version, torch, device : str
        Of this program, of PyTorch, and the name of the processor.
    task, method : Task, Method
        The settings that ran.
    asked_method, effort : str
        What the person asked for ("auto" if nothing).
    reason, instead : str
        Why this method was taken; why another one than what was asked for.
    threads, instruction_set : int, str
        Of the CPU. Sums are rounded in another order with others, and a fit makes large differences of small ones.
    repeatable : str
        What must be the same for the same image, bit for bit; for people.
    axes, volume, dtype : str, bool, str
        One letter per axis; whether Z, Y and X were restored together; type of the pixels of the result.
    separate_channels : bool
        Whether channels were restored one by one.
    kernel, blur : list or None
        An image of the blur that was given; of the blur that was undone, rounded.
    guided_by : dict or None
        Settings of the method that used the guides.
    noise : NoiseRecord or None
        None until a piece was looked at.
    chosen_steps : list of int or None
        For each piece that was restored, the step that its image is from; None if it was passed through.
    piece_count, tile : int, int or None
        Pieces of the whole array; pixels along the sides of the tiles into which its slices were cut.
    passed_through, residuals, remarks : list of str
        Pieces that were not restored, and why; what the residual of each piece looks like; all else for people.
    file_remarks : list of str
        What was converted, guessed or missing when the files were read.
    identity : str
        Hash of input, settings and version, by which a finished result is known again; empty if the input was no
        file, or the run was stopped.
    """

    version: str
    torch: str
    device: str
    task: Task
    method: Method
    asked_method: str
    effort: str
    reason: str
    instead: str
    axes: str
    volume: bool
    dtype: str
    threads: int = 1
    instruction_set: str = ""
    repeatable: str = ""
    kernel: list[Any] | None = None
    blur: list[Any] | None = None
    guided_by: dict[str, Any] | None = None
    noise: NoiseRecord | None = None
    chosen_steps: list[int | None] = field(default_factory=list)
    piece_count: int = 1
    tile: int | None = None
    passed_through: list[str] = field(default_factory=list)
    residuals: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    file_remarks: list[str] = field(default_factory=list)
    identity: str = ""
    separate_channels: bool = False

    @property
    def unit(self) -> str:
        """What a piece is called."""
        return unit_of(self.tile)

    def to_json(self) -> dict[str, Any]:
        """Return JSON types; ``schema`` is the number of this version of the record."""
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        values |= {"task": self.task.to_json(), "method": self.method.to_json()}
        if self.noise is not None:
            values["noise"] = {**dataclasses.asdict(self.noise), "channels": [*map(_plain, self.noise.channels)]}
        return {"schema": SCHEMA, **values}


@final
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The part of a record with which a run is made again, also of other images.

    Parameters
    ----------
    task, method, asked_method, effort, volume, kernel, separate_channels
        See :class:`Record`.
    """

    task: Task
    method: Method
    asked_method: str
    effort: str
    volume: bool
    kernel: list[Any] | None = None
    separate_channels: bool = False

    @classmethod
    def of(cls, record: Record) -> Recipe:
        """Return the recipe of a run."""
        return cls(**{each.name: getattr(record, each.name) for each in dataclasses.fields(cls)})

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Recipe:
        """Return what :meth:`to_json` or :meth:`Record.to_json` wrote.

        Raises
        ------
        ValueError
            If the record was not written by a version of this program that this one understands.
        """
        if not isinstance(record, Mapping) or record.get("schema") != SCHEMA:
            raise ValueError(NOT_UNDERSTOOD)
        try:
            kinds = {kind.__name__: kind for kind in (*TASKS.values(), *METHODS.values())}
            task, method = (kinds[record[part]["kind"]].from_json(record[part]) for part in ("task", "method"))
            recipe = cls(
                task=task,  # type: ignore[arg-type]  # checked below: a record may say anything
                method=method,  # type: ignore[arg-type]
                asked_method=record["asked_method"],
                effort=record["effort"],
                volume=record["volume"],
                kernel=record["kernel"],
                # Older results had no such thing.
                separate_channels=record.get("separate_channels") is True,
            )
        except (KeyError, TypeError):
            raise ValueError(NOT_UNDERSTOOD) from None
        of_kind = isinstance(recipe.task, Task) and isinstance(recipe.method, Method)
        named = isinstance(recipe.asked_method, str) and isinstance(recipe.effort, str)
        if not (of_kind and named and isinstance(recipe.volume, bool) and isinstance(recipe.kernel, list | None)):
            raise ValueError(NOT_UNDERSTOOD)
        return recipe

    def to_json(self) -> dict[str, Any]:
        """Return JSON types; ``schema`` is that of the record."""
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return {"schema": SCHEMA, **values, "task": self.task.to_json(), "method": self.method.to_json()}

    @property
    def wish(self) -> Wish:
        """What was asked for: exact settings only where the method would not have them by itself."""
        wish = Wish(method=self.asked_method, effort=self.effort, volume=self.volume)
        exact = dataclasses.replace(wish, method=name_of(self.method), settings=self.method)
        try:
            by_itself, _ = asked(self.task, wish)
        except ValueError:  # the effort of exact settings has no name
            return exact
        return wish if by_itself == self.method else exact


def _plain(model: NoiseModel) -> dict[str, Any]:
    values = dataclasses.asdict(model)
    return values | {"correlation": list(model.correlation), "reasons": list(model.reasons)}
