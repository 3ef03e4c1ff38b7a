"""What a person says of the noise, compared with the image: some of it cannot be true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..arrays.axes import Array
from ..physics.noise_model import Floats
from .channels import GivenNoise, noise_of
from .sampling import Window

DARK = 0.01
"""Quantile of the grey levels that stands for zero light where the offset is not given: the noise is then the least."""

TOO_STRONG = 1.25
"""Times by which noise may seem stronger than the image varies in all: saturated pixels vary less."""

TOO_FAR, BRIGHT = 3.0, 0.99
"""Times by which noise may be weaker than the image shows where it is bright, at this quantile of its grey levels, or
stronger on average: fine texture is taken for noise of up to half its strength."""

MOSTLY, CLEARLY = 0.75, 0.01
"""Share of the pixels below zero light that is more than half of an empty ground, and the share of the range by which
they must be below it: an offset is not rounded."""


class Objection(NamedTuple):
    """What speaks against the noise that was given: it cannot be, or only hardly; a clause with both numbers."""

    impossible: bool
    clause: str


def objections(windows: Sequence[Sequence[Window]], given: GivenNoise) -> tuple[Objection, ...]:
    """Return what speaks against a given noise, for every channel that it does not fit.

    What fits at least one channel is not impossible: the others may be empty.
    """
    if not given.is_given:
        return ()
    shown = [(known, each) for each in windows if (known := _known(each)).size and known.min() < known.max()]
    found = [_objection(known, given) or _other_than_shown(known, each, given) for known, each in shown]
    impossible = bool(found) and all(objection is not None and objection.impossible for objection in found)
    return tuple(Objection(impossible, clause) for clause in dict.fromkeys(each.clause for each in found if each))


def refuse_impossible(windows: Sequence[Sequence[Window]], given: GivenNoise) -> tuple[str, ...]:
    """Return what speaks against a given noise, a clause each.

    Raises
    ------
    ValueError
        If it cannot be.
    """
    found = objections(windows, given)
    for objection in found:
        if objection.impossible:
            raise ValueError(f"{objection.clause}: give what is true of the camera, or leave it out to be estimated")
    return tuple(objection.clause for objection in found)


def _known(windows: Sequence[Window]) -> Floats:
    return np.concatenate([*(window.known for window in windows), np.zeros(0)])


def _objection(values: Array, given: GivenNoise) -> Objection | None:
    """Return what speaks against the noise by the grey levels of a channel."""
    darkest, brightest, spread = float(values.min()), float(values.max()), float(values.std())
    if given.offset is not None:
        clause = f"the offset is {given.offset:g} grey levels, and the brightest pixel has {brightest:g}"
        if given.offset >= brightest:
            return Objection(True, clause)
        below = float(np.mean(values < given.offset - CLEARLY * (brightest - darkest)))
        if below > MOSTLY:
            return Objection(False, f"{clause}, but {below:.0%} of the pixels are darker than this offset")
    zero = float(np.quantile(values, DARK)) if given.offset is None else given.offset
    with np.errstate(over="ignore"):
        photons = (given.gain or 0.0) * float(np.maximum(values - zero, 0).mean())
        noise = float(np.sqrt(photons + np.square(given.sigma or 0.0)))
    clause = _with(given, noise)
    if noise > brightest - darkest:
        return Objection(True, f"{clause}, and all pixels lie between {darkest:g} and {brightest:g}")
    if noise > TOO_STRONG * spread:
        return Objection(False, f"{clause}, and the whole image only one of {spread:.3g}")
    return None


def _other_than_shown(values: Array, windows: Sequence[Window], given: GivenNoise) -> Objection | None:
    """Return that a channel shows far more noise than the given one where it is bright, or far less where it is not."""
    estimated = noise_of(windows, GivenNoise())
    if not estimated.reliable:
        return None
    told = noise_of(windows, given)
    if given.offset is not None and given.gain is None:
        # What the image would show if its photons were seen from there.
        told = replace(told, gain=estimated.gain, reliable=True)
    bright, mean = float(np.quantile(values, BRIGHT)), float(values.mean())
    noise, found = (float(np.sqrt(each.variance(bright))) for each in (told, estimated))
    if given.gain is not None and found > TOO_FAR * noise:
        return Objection(
            False, f"{_with(given, noise)} where it is bright, and the image shows one of {found:.3g} there"
        )
    noise, found = (float(np.sqrt(each.variance(mean))) for each in (told, estimated))
    if noise > TOO_FAR * found:
        return Objection(False, f"{_with(given, noise)} on average, and the image shows one of {found:.3g}")
    return None


def _with(given: GivenNoise, noise: float) -> str:
    parts = {"gain": given.gain, "offset": given.offset, "sigma": given.sigma}
    said = " and ".join(f"{name} {value:g}" for name, value in parts.items() if value is not None)
    return f"with {said} the noise has a standard deviation of {noise:.3g} grey levels"
