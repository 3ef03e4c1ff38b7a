"""Removing compression artefacts: the coefficients of blocks were rounded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, final

from ..arrays.axes import Array
from ..estimation.jpeg_tables import estimate_tables
from ..physics.jpeg import JpegTables, tables_of_quality
from ..physics.kernels import Kernel
from ..physics.misfit_choice import choose_misfit
from ..physics.noise_model import NoiseModel
from ..physics.operators import Identity
from ..physics.quantised_misfit import QuantisedMisfit
from ..progress.stages import run_stage
from ..settings import Setting
from .inputs import Inputs
from .task import Measured, Posed, Prepared, Task, grey_levels, problem_of

LARGEST_BLOCK = 16
"""Pixels along a side of what a JPEG compresses together, where it has colours."""

LEVEL_DIGITS = 3
"""Decimal places to which grey levels from 0 to 255 survive as canonical values."""


@final
@dataclass(frozen=True, kw_only=True)
class RemoveArtifacts(Task):
    """Remove the blocks and rings of JPEG compression, by what the file says of its rounding, or the image itself."""

    command = "remove-artifacts"
    result = "without artefacts"
    takes = frozenset({"jpeg"})
    tile_multiple = LARGEST_BLOCK
    tile_needs = frozenset({"jpeg", "quality"})

    quality: Annotated[
        int | None,
        Setting(
            "Quality",
            "of the JPEG, 1 to 100, if neither a file nor the image shows it; empty: found",
            1,
            100,
            advanced=False,
        ),
    ] = None

    @property
    def neighbour_count(self) -> int | None:
        """0: each piece is restored by itself."""
        return 0

    @property
    def keeps_known(self) -> bool:
        """No: every pixel was rounded with its block."""
        return False

    def operator(self, axes: str, kernel: Kernel | None) -> Identity:
        """Return the identity: what is lost is in the rounding, and a matter of the misfit.

        Raises
        ------
        ValueError
            If a volume is to be restored.
        """
        if "Z" in axes:
            raise ValueError("JPEG compresses planes, and no volumes: restore plane by plane")
        return Identity()

    def prepare(self, first: Measured, noise: tuple[NoiseModel, ...], inputs: Inputs) -> Prepared:
        """Return the noise, which counts where it cannot be found out how the image was compressed."""
        return Prepared(Identity(), noise)

    def problem(self, measured: Measured, prepared: Prepared, inputs: Inputs) -> Posed:
        """Return the problem of a plane; where its compression is not known, that of denoising it."""
        tables, remark = self._tables(measured, inputs.jpeg)
        if tables is None:
            name, misfit = choose_misfit(self.noise, prepared.noise, measured.frame.units, measured.values)
        else:
            name, misfit = "quantised", QuantisedMisfit(tables, measured.frame.units, measured.values)
        problem = problem_of(measured, prepared, misfit)
        return Posed(problem=problem, frame=measured.frame, misfit=name, remarks=(remark,))

    def _tables(self, measured: Measured, given: JpegTables | None) -> tuple[JpegTables | None, str]:
        """Return how a plane was compressed, if it can be found out, and a sentence for people."""
        if bool((measured.weight == 0).any()):
            return None, "pixels are missing, and the blocks of a JPEG need all of them"
        # Float32 has moved grey levels a little, 0 and 255 perhaps beyond what a JPEG can have.
        image: Array = grey_levels(measured).round(LEVEL_DIGITS)
        if self.quality is not None:
            tables = tables_of_quality(self.quality, colour=image.ndim == 3)
            return tables, f"taken for a JPEG of quality {self.quality}"
        if given is not None:
            return given, "the file says how coarsely it was rounded"
        found = run_stage("Looking at the image", partial(estimate_tables, image))
        if found is None:
            return None, "neither a file nor the image shows how it was compressed"
        return found, "how coarsely it was rounded was found in the image"
