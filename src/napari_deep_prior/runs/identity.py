"""The identity of a result: a hash of input, settings and version, by which finished work is known again."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
from collections.abc import Mapping

import numpy as np
import torch

from ..arrays.axes import Array
from ..files.lazy_pixels import LazyPixels

VERSION = importlib.metadata.version("napari-deep-prior")

BYTES = 16
"""Of a hash, written as twice as many hexadecimal digits."""


def identity(*parts: object) -> str:
    """Return a hash of values: of the same values the same one, on any computer and in any process.

    Parameters
    ----------
    parts : object
        Numbers, texts, bytes, arrays, and dataclasses, mappings and sequences of them.

    Raises
    ------
    TypeError
        If a part is something else.
    """
    digest = hashlib.blake2b(digest_size=BYTES)
    _add(digest, parts)
    return digest.hexdigest()


def _add(digest: hashlib.blake2b, value: object) -> None:
    """Take in a value with its kind and length, so that no two values have the same bytes."""
    if isinstance(value, np.ndarray | torch.Tensor):
        value = np.asarray(value)
        digest.update(f"array {value.dtype.str} {value.shape} ".encode())
        _add_pixels(digest, value)
    elif isinstance(value, LazyPixels):
        digest.update(f"array {value.dtype.str} {value.shape} ".encode())
        for place in np.ndindex(value.shape[:-2]):
            _add_pixels(digest, value[place])
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        digest.update(f"{type(value).__name__} ".encode())
        _add(digest, {each.name: getattr(value, each.name) for each in dataclasses.fields(value)})
    elif isinstance(value, Mapping):
        digest.update(f"mapping {len(value)} ".encode())
        for key in sorted(value):
            _add(digest, key)
            _add(digest, value[key])
    elif isinstance(value, list | tuple):
        digest.update(f"sequence {len(value)} ".encode())
        for part in value:
            _add(digest, part)
    elif value is None or isinstance(value, bool | int | float | str | bytes):
        text = repr(value)
        digest.update(f"{type(value).__name__} {len(text)} {text} ".encode(errors="surrogatepass"))
    else:
        raise TypeError(f"{type(value).__name__} has no identity: numbers, texts, arrays and dataclasses have one")


def _add_pixels(digest: hashlib.blake2b, pixels: Array) -> None:
    # A copy of a whole stack, which arrays of another order need, would take as much memory again.
    if pixels.ndim > 2 and not pixels.flags.c_contiguous:
        for part in pixels:
            _add_pixels(digest, part)
    else:
        digest.update(np.ascontiguousarray(pixels).data)
