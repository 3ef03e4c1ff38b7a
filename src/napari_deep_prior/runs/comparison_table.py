"""Results beside a reference as a table, and what each of its numbers does not see."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import final

from ..arrays.metrics import LOG_RADIUS, LOG_SIGMA, SSIM_SIGMA, SSIM_WINDOW

Place = tuple[tuple[str, int], ...]
"""A plane or channel: axis letters, each with a number from 0 on; empty for all of them together."""

_WINDOW = f"{SSIM_WINDOW} × {SSIM_WINDOW}"
_LOG = f"{2 * LOG_RADIUS + 1} × {2 * LOG_RADIUS + 1}"

NOTES = {
    "MSE": "mean squared error, in squared intensity units. It does not tell a shift of brightness from noise or blur.",
    "PSNR": "10 log10(data range² / MSE). It tells no more than the MSE does, and is infinite for equal images.",
    "SSIM": f"mean over {_WINDOW} Gaussian windows (σ {SSIM_SIGMA:g}) inside the image. It does not see what is larger "
    "than a window.",
    "HFEN": f"normalised 2-norm of the error after a {_LOG} Laplacian of Gaussian (LoG, σ {LOG_SIGMA:g}). It does not "
    "see smooth errors.",
}
"""What each measure is, and what it does not see."""

ALL = "all"
"""What stands for the place of a row on all planes and channels."""


@final
@dataclass(frozen=True, kw_only=True)
class Row:
    """The measures of one result, on all its planes and channels or on one of them.

    Parameters
    ----------
    name, interpolation : str
        The result, and how it was enlarged to the size of the reference; empty if it has that size.
    place : tuple
        Which plane and channel; empty for all of them.
    pixels : int
        Values that were compared.
    gain, offset : float
        What the result was multiplied by before the offset was added; 1 and 0 if they were not fitted.
    mse, psnr : float
        In squared intensity units, and in dB; infinite for equal images.
    ssim, hfen : float or str
        Fractions, or why there is none.
    """

    name: str
    interpolation: str
    place: Place
    pixels: int
    gain: float
    offset: float
    mse: float
    psnr: float
    ssim: float | str
    hfen: float | str

    @property
    def title(self) -> str:
        """The name, with the interpolation."""
        return f"{self.name} ({self.interpolation})" if self.interpolation else self.name

    @property
    def place_in_words(self) -> str:
        """The plane and channel, as "Z 3, C 0"."""
        return ", ".join(f"{letter} {number}" for letter, number in self.place) or ALL


@final
@dataclass(frozen=True, kw_only=True)
class ComparisonTable:
    """The measures of several results, and how they were compared.

    Parameters
    ----------
    reference, region : str
        Name of the reference; of the mask in which it was compared, empty if everywhere.
    span, span_source : float, str
        Data range of PSNR and SSIM in intensity units, and where it comes from.
    fitted : bool
        Whether gain and offset were fitted.
    rows : tuple of Row
        The measures.
    """

    reference: str
    region: str
    span: float
    span_source: str
    fitted: bool
    rows: tuple[Row, ...]

    def introduction(self) -> tuple[str, ...]:
        """Return sentences on what was compared, and how."""
        where = f"inside {self.region}" if self.region else "all pixels"
        lines = [f"Compared with {self.reference}, {where}.", f"Data range {self.span:g}: {self.span_source}."]
        if self.fitted:
            lines.append("Gain and offset of each result were fitted to the reference by least squares.")
        return tuple(lines)

    def titles(self) -> tuple[str, ...]:
        """Return the titles of the columns; those that say the same in all rows are left out."""
        return (
            "Result",
            *(("Plane",) if self._has_places else ()),
            "MSE",
            "PSNR (dB)",
            f"SSIM ({_WINDOW})",
            f"HFEN (LoG {_LOG}, σ {LOG_SIGMA:g})",
            *(("Gain", "Offset") if self.fitted else ()),
        )

    def cells(self, row: Row) -> tuple[str, ...]:
        """Return the texts of a row."""
        return (
            row.title,
            *((row.place_in_words,) if self._has_places else ()),
            four_digits(row.mse),
            f"{row.psnr:.2f}",
            row.ssim if isinstance(row.ssim, str) else f"{row.ssim:.4f}",
            row.hfen if isinstance(row.hfen, str) else four_digits(row.hfen),
            *((f"{row.gain:.4g}", f"{row.offset:.4g}") if self.fitted else ()),
        )

    def text(self) -> str:
        """Return the table with aligned columns, how it was made, and what its numbers do not see."""
        lines = [self.titles(), *map(self.cells, self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        texts = 2 if self._has_places else 1
        aligned = [
            "  ".join(
                cell.ljust(width) if column < texts else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        return "\n".join([*self.introduction(), "", *aligned, "", *notes_in_words()])

    def separated(self, delimiter: str = ",") -> str:
        """Return the table for other programs: all digits, and in every row how it was compared.

        Parameters
        ----------
        delimiter : str
            Stands between columns: a comma for a CSV file, a tab for the clipboard.
        """
        letters = list(dict.fromkeys(letter for row in self.rows for letter, _ in row.place))
        measures = ("pixels", "gain", "offset", "mse", "psnr", "ssim", "hfen")
        text = io.StringIO()
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        writer.writerow(["result", "interpolation", *letters, *measures, "reference", "region", "data_range"])
        for row in self.rows:
            at = dict(row.place)
            numbers = [getattr(row, name) for name in measures]
            places = [at.get(letter, ALL) for letter in letters]
            how = [self.reference, self.region or ALL, self.span]
            writer.writerow([row.name, row.interpolation, *places, *numbers, *how])
        return text.getvalue()

    @property
    def _has_places(self) -> bool:
        return any(row.place for row in self.rows)


def notes_in_words() -> tuple[str, ...]:
    """Return one line for each measure: what it is, and what it does not see."""
    return tuple(f"{name}: {note}" for name, note in NOTES.items())


def four_digits(value: float) -> str:
    """Return a number with four significant digits, zeros at its end included."""
    return f"{value:#.4g}".rstrip(".")
