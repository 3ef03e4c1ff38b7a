"""Windows of an image: small squares that stand for all of it."""

from __future__ import annotations

from .axes import Array


def most_varied(planes: Array, side: int) -> tuple[slice, slice]:
    """Return the rows and columns of the square of planes (..., rows, columns) that varies the most.

    Squares overlap by half; in a smaller image it is all of it.

    Parameters
    ----------
    planes : ndarray, (..., rows, columns)
    side : int
        Pixels along a side of the square.
    """
    rows, columns = planes.shape[-2:]
    places = [
        (slice(row, row + side), slice(column, column + side))
        for row in range(0, max(1, rows - side + 1), side // 2)
        for column in range(0, max(1, columns - side + 1), side // 2)
    ]
    contrasts = [float(planes[(..., *place)].std()) for place in places]
    return places[contrasts.index(max(contrasts))]
