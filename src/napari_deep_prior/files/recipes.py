"""Settings of a run in a file: JSON, or the record in an image that was restored."""

from __future__ import annotations

import json
from pathlib import Path

from ..runs.record import Recipe
from .images import read_as_stored
from .reading import reading
from .replacing import refuse_place, write_text

ENDING = ".json"


def read_recipe(path: str) -> Recipe:
    """Return the settings in a JSON file, or of the run that has made an image.

    Raises
    ------
    ValueError
        If there is no such file, or no settings are in it that this version understands.
    """
    file = Path(path)
    if file.suffix.lower() == ENDING:
        with reading(file, "settings"):
            record = json.loads(file.read_text(encoding="utf-8"))
    else:
        record = read_as_stored(file).record
    try:
        return Recipe.from_json(record)
    except ValueError as error:
        raise ValueError(f"{path!r}: {error}") from error


def refuse_recipe(path: str, *, overwrite: bool) -> None:
    """Raise a ValueError, before any work is done, if no settings can be written there, or something else would go."""
    file = Path(path)
    if file.suffix.lower() != ENDING:
        raise ValueError(f"cannot write settings to {path!r}: the name must end in {ENDING}")
    refuse_place(file, overwrite=overwrite)
    if file.exists():
        try:
            read_recipe(path)
        except ValueError as error:
            raise ValueError(f"{error}; settings only replace older settings: choose another name") from error


def write_recipe(path: str, recipe: Recipe) -> None:
    """Write settings as JSON, whole or not at all."""
    write_text(Path(path), json.dumps(recipe.to_json(), indent=2) + "\n")
