"""What a run says of the pieces of an image: slices of a stack, or tiles of them."""

from __future__ import annotations

from .report import SLICE, size

TILE = "tile"


def unit_of(tile: int | None) -> str:
    """Return what a piece is called."""
    return SLICE if tile is None else TILE


def tiles_in_words(tile: int, *, needed: int, budget: int) -> str:
    """Return a sentence on an image that is cut into tiles since it would need too much memory as a whole."""
    return (
        f"restored in tiles of {tile} × {tile} pixels: at once it would need about {size(needed)}, and there is room "
        f"for {size(budget)}"
    )


def missing_in_words(*, count: int, left_out: int, empty: int, value: str, unit: str) -> str:
    """Return a sentence on the pieces, of a number of them, that a run did not reach; empty ones have a value."""
    missing = left_out + empty
    if missing == 1:
        which, are = f"the last {unit} of {count} was not reached", "it is"
    else:
        which, are = f"the last {missing} of {count} {unit}s were not reached", "they are"
    if left_out and empty:
        parts = (f"{empty} {_are(empty)} empty ({value})", f"{left_out} {_are(left_out)} left out")
        return f"{which}: {parts[0]}, and {parts[1]}"
    return f"{which}: {are} {'left out' if left_out else f'empty ({value})'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
