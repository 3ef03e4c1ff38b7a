"""An image of a batch whose result goes into a folder, piece by piece: what was stopped goes on where it was."""

from __future__ import annotations

from pathlib import Path
from typing import final

from ..files.image_file import ImageFile
from .batch import Earlier, Scores, Work
from .forecast import Forecast
from .into_folder import written_into
from .restoration import Restoration
from .result import Result
from .setup import Setup
from .zarr_place import ZarrPlace, record_in


@final
class WorkInFolder(Work):
    """A run whose result is an OME-Zarr.

    Parameters
    ----------
    setup, image : Setup, ImageFile
        The run, and what is known of its input.
    path : Path
        Folder of the result.
    overwrite : bool
        Whether a result of another run may be replaced.
    """

    def __init__(self, setup: Setup, image: ImageFile, path: Path, *, overwrite: bool) -> None:
        super().__init__(setup)
        self._image, self._path, self._overwrite = image, path, overwrite

    def earlier(self) -> Earlier | None:
        """Return the result if it is finished; one of the same run that is not is gone on with."""
        place = ZarrPlace(path=self._path, identity=self.setup.identity, overwrite=self._overwrite)
        self.setup, output = written_into(self.setup, self._image, place)
        return Earlier(record=record_in(self._path)) if output.is_complete else None

    def refuse(self, run: Restoration, plan: Forecast) -> None:
        """Do nothing: what lies in the folder was looked at, and the pieces have room."""

    def write(self, result: Result) -> Scores | None:
        """Do nothing: every piece was written when it was finished."""
        return None
