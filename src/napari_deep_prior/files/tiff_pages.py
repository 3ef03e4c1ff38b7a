"""Pixels of a TIFF that stay in the file, and are read plane by plane."""

from __future__ import annotations

import math
import weakref
from contextlib import ExitStack
from pathlib import Path
from typing import final

import numpy as np
import tifffile

from ..arrays.axes import Array
from .lazy_pixels import Index, LazyPixels


def opened_tiff(file: Path) -> tifffile.TiffFile:
    """Return an open TIFF file of which it is known how many pages it has."""
    with ExitStack() as closing:
        tiff = closing.enter_context(tifffile.TiffFile(file))
        # Where the pages of a damaged file go round in a circle, tifffile notices it when it counts them and only then.
        len(tiff.pages)
        closing.pop_all()
    return tiff


def lazy_planes(file: Path) -> LazyPixels | None:
    """Return the first image of a TIFF, no plane of it read; None if its planes cannot be read one by one."""
    planes = _TiffPages(file)
    if planes.shape[planes.outer :] != planes.page.shape:
        return None
    return LazyPixels(file, planes.shape, np.dtype(planes.page.dtype), planes.read)


@final
class _TiffPages:
    """The planes of the first image of a TIFF; the file stays open as long as they are needed."""

    def __init__(self, file: Path) -> None:
        tiff = opened_tiff(file)
        weakref.finalize(self, tiff.close)
        self._file, self._series = tiff.filehandle, tiff.series[0]
        self.page, self.shape = self._series.keyframe, self._series.shape
        self.outer = len(self.shape) - len(self.page.shape)
        self._path = file

    def __reduce__(self) -> tuple[type[_TiffPages], tuple[Path]]:
        """Open the file anew where a run is sent to another process."""
        return _TiffPages, (self._path,)

    def read(self, index: Index) -> Array:
        """Return the part at an index."""
        lengths = self.shape[: self.outer]
        numbers = np.arange(math.prod(lengths)).reshape(lengths)[index[: self.outer]]
        parts = [self._plane(number)[index[self.outer :]] for number in numbers.ravel().tolist()]
        return np.stack(parts).reshape(*numbers.shape, *parts[0].shape)

    def _plane(self, number: int) -> Array:
        start = self._series.dataoffset
        if start is None:
            page = self._series[number]
            assert page is not None  # noqa: S101  (for mypy: images that lack planes are read as a whole)
            return np.asarray(page.asarray())
        # Of a large ImageJ file only the first plane has an entry.
        dtype = np.dtype(self.page.dtype).newbyteorder(self.page.parent.byteorder)
        offset = start + number * math.prod(self.page.shape) * dtype.itemsize
        values = self._file.read_array(dtype, math.prod(self.page.shape), offset=offset)
        return np.asarray(values.reshape(self.page.shape).astype(self.page.dtype, copy=False))
