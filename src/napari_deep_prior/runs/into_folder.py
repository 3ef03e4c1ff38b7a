"""A run whose pieces are written into a folder, where a later run goes on with them."""

from __future__ import annotations

import dataclasses

from ..files.image_file import ImageFile
from ..files.results import with_spacing_of_result
from .setup import Setup
from .zarr_output import ZarrOutput
from .zarr_place import ZarrPlace


def written_into(setup: Setup, image: ImageFile, place: ZarrPlace) -> tuple[Setup, ZarrOutput]:
    """Return a run whose pieces go into a folder, and that output of it; nothing is written yet.

    A run that goes on has the tiles with which it began, whatever memory is free now.

    Parameters
    ----------
    image : ImageFile
        What is known of the input; its pixels are not looked at.

    Raises
    ------
    ValueError
        If it cannot be written, holds something else, or has no room.
    """
    if place.is_begun():
        setup = setup.with_tile(place.tile_of_run())
    place = dataclasses.replace(place, tile=setup.tile)
    known = with_spacing_of_result(image, setup.factors)
    output = ZarrOutput(setup.output.shape, setup.output.dtype, place, known, setup.pieces)
    if not output.is_complete:
        output.refuse_full_disk(len(setup.pieces))
    return dataclasses.replace(setup, output=output), output
