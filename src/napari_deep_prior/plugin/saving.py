"""Save a result as OME-TIFF, where the person says."""

from __future__ import annotations

from pathlib import Path

from napari.layers import Image
from qtpy.QtWidgets import QFileDialog, QWidget

from ..files.model_files import ENDING as MODEL_ENDING
from ..files.zarr_reader import OME_ZARR_ENDING, ZARR_ENDING
from .files import ENDINGS, write_image


def ask_where(parent: QWidget, name: str) -> str:
    """Return the path at which the person wants to save a layer of that name; empty if nowhere."""
    return _asked(parent, ("Save result", name, "OME-TIFF (*.ome.tif)"), ENDINGS)


def ask_where_table(parent: QWidget, name: str) -> str:
    """Return the path at which the person wants to save a table; empty if nowhere."""
    return _asked(parent, ("Save table", name, "CSV (*.csv)"), (".csv",))


def ask_where_model(parent: QWidget, name: str) -> str:
    """Return the path at which the person wants to save a trained network; empty if nowhere."""
    return _asked(parent, ("Save model", name, f"Trained networks (*{MODEL_ENDING})"), (MODEL_ENDING,))


def ask_where_folder(parent: QWidget, name: str) -> str:
    """Return the folder in which the person wants a result to grow; empty if nowhere."""
    return _asked(parent, ("Folder for the result", name, "OME-Zarr (*.zarr)"), (OME_ZARR_ENDING, ZARR_ENDING))


def _asked(parent: QWidget, texts: tuple[str, str, str], endings: tuple[str, ...]) -> str:
    """Ask with a title, a name and a kind of file; the first ending is added where there is none."""
    title, name, kind = texts
    plain = "".join("_" if letter in '<>:"/\\|?*' else letter for letter in name)
    path, _ = QFileDialog.getSaveFileName(parent, title, f"{plain}{endings[0]}", kind)
    return path if not path or path.lower().endswith(endings) else f"{path}{endings[0]}"


def save_layer(path: str, layer: Image) -> str:
    """Write a layer with pixel size, units and record, and return a sentence on it.

    Raises
    ------
    ValueError, OSError
        If it cannot be written.
    """
    data, meta, _ = layer.as_layer_data_tuple()
    write_image(path, data, meta)
    return f"Saved as {Path(path).name!r}, with its pixel size and the record of what was done."
