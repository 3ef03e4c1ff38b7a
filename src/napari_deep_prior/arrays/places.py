"""Where an image lies in a viewer, carried over to one of other axes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .axes import Array

VECTORS, MATRICES = {"scale": 1.0, "translate": 0.0}, ("rotate", "shear", "affine")
"""What a place consists of: vectors, with their value along a new axis, and matrices."""


def place_on(place: Mapping[str, Array], before: str, after: str) -> dict[str, Array]:
    """Return a place for other axes: in another order, without some, and with new ones.

    Parameters
    ----------
    place : mapping of str to ndarray
        Scale and translate (n,), rotate and shear (n, n), and affine (n + 1, n + 1).
    before, after : str
        A letter for each axis.
    """
    known = [letter for letter in after if letter in before]
    old, new = [before.index(letter) for letter in known], [after.index(letter) for letter in known]
    moved: dict[str, Array] = {}
    for name, empty in VECTORS.items():
        moved[name] = np.full(len(after), empty)
        moved[name][new] = np.asarray(place[name], float)[old]
    for name in MATRICES:
        matrix = np.asarray(place[name], float)
        corner = [] if len(matrix) == len(before) else [len(before)]
        moved[name] = np.eye(len(after) + len(corner))
        inside = [*new, *([len(after)] if corner else [])]
        moved[name][np.ix_(inside, inside)] = matrix[np.ix_([*old, *corner], [*old, *corner])]
    return moved


def plain_place(axes: str, spacing: Mapping[str, float]) -> dict[str, Array]:
    """Return the place of an image that begins at 0, with the size of its pixels by the letters of its axes."""
    count = len(axes)
    scale = np.array([spacing.get(letter, 1.0) for letter in axes])
    matrices = {name: np.eye(count + (name == "affine")) for name in MATRICES}
    return {"scale": scale, "translate": np.zeros(count), **matrices}
