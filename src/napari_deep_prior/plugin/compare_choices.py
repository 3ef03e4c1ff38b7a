"""What is compared with what, and how: chosen in the dock, and compared in a thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, final

from magicgui.widgets import CheckBox, ComboBox, LineEdit
from napari.layers import Image, Labels, Shapes
from qtpy.QtWidgets import QFormLayout

from ..runs.compare import compare
from ..runs.comparison_table import ComparisonTable
from ..runs.reference import Reference, Region
from .compare_slices import Aligned, aligned
from .crop import cropped
from .form import add_row, layer_choice
from .layer_ticks import LayerTicks
from .layers import axes_of, images_of, pixels_of
from .regions import region_of

if TYPE_CHECKING:
    import napari.viewer

WHOLE = "whole image"
"""What stands for no region."""


@final
@dataclass(frozen=True)
class Compared:
    """A comparison that was made: its layers, the reference as it was read, and the table."""

    layers: Mapping[str, Image]
    layer: Image
    aligned: Aligned
    reference: Reference
    table: ComparisonTable


@final
class CompareChoices:
    """Widgets that say what is compared."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer
        self.results = LayerTicks(
            lambda: images_of(viewer),
            tooltip="Layers to compare. One that is smaller than the reference by a whole factor is compared as its "
            "nearest, bilinear and bicubic interpolation",
        )
        self.reference = layer_choice(
            lambda: images_of(viewer), label="Reference", tooltip="The truth, or a better image of the same place"
        )
        self.region: Any = ComboBox(
            label="Region",
            choices=lambda _: [
                (WHOLE, None),
                *((layer.name, layer) for layer in viewer.layers if isinstance(layer, Labels | Shapes)),
            ],
            tooltip="Compare only within the areas of a Shapes layer, or where a Labels layer is painted. A layer with "
            "fewer axes than the reference counts on all of its planes",
        )
        self.data_range = LineEdit(
            label="Data range",
            tooltip="Of PSNR and SSIM. Empty: 255 for a reference of 8 bits, else its maximum less its minimum",
        )
        self.data_range.native.setPlaceholderText("that of the reference")
        self.fit = CheckBox(
            label="Fit gain and offset",
            tooltip="First multiply each result by a gain and add an offset, fitted to the reference by least squares",
        )
        self.per_plane = CheckBox(
            label="Every plane", tooltip="Further rows for every plane and channel, counted from 0"
        )

    def lay_out(self, rows: QFormLayout) -> None:
        """Add the widgets to a form."""
        rows.addRow("Results", self.results)
        for choice in (self.reference, self.region, self.data_range, self.fit, self.per_plane):
            add_row(rows, choice)

    def choose_first(self) -> None:
        """Begin with a layer that is called truth as the reference, and with the active layer as the result."""
        self.layers_changed()
        layers = images_of(self._viewer)
        truths = [layer for layer in layers if "truth" in layer.name.lower()]
        if truths:
            self.reference.value = truths[0]
        active = self._viewer.layers.selection.active
        others = [layer for layer in layers if layer is not active]
        if others and not truths and active is self.reference.value:
            self.reference.value = others[0]
        self.results.tick([active] if active in layers and active is not self.reference.value else [])

    def layers_changed(self) -> None:
        """Offer the layers that there are now; what was chosen stays chosen."""
        self.results.layers_changed()
        for choice in (self.reference, self.region):
            choice.reset_choices()

    def work(self) -> Callable[[], Compared]:
        """Return a function that compares what is chosen, to be called in a thread.

        Raises
        ------
        ValueError
            If something is not chosen, or cannot be used.
        """
        layer, results = self.reference.value, self.results.ticked
        if layer is None:
            raise ValueError("there is no image layer: open the reference and the results first")
        if not results:
            raise ValueError("no result is ticked: tick one or more layers under 'Results'")
        if layer in results:
            raise ValueError(
                f"{layer.name!r} is the reference, and a result, too: untick it, or choose another reference"
            )
        region = None if self.region.value is None else region_of(self.region.value, layer)
        which = aligned(layer, results, tuple(self._viewer.dims.point))
        return partial(
            _compared, layer, which, region=region,
            span=self._span(), fit=self.fit.value, per_plane=self.per_plane.value,
        )  # fmt: skip

    def _span(self) -> float | None:
        text = self.data_range.value.strip()
        try:
            return float(text) if text else None
        except ValueError:
            raise ValueError(f"the data range is {text!r}; it must be a number above 0, or empty") from None


def _compared(
    layer: Image,
    which: Aligned,
    *,
    region: Callable[[], Region] | None,
    span: float | None,
    fit: bool,
    per_plane: bool,
) -> Compared:
    """Return a comparison; all that is read is read here, plane by plane."""
    inside = None if region is None else region()
    pixels = pixels_of(layer)
    if which.is_part:
        pixels = cropped(pixels, which.spans)
        # A region has no axis of colours.
        inside = None if inside is None else Region(inside.name, inside.mask[which.spans[: inside.mask.ndim]])
    reference = Reference.of(layer.name, pixels, axes_of(layer), region=inside, span=span)
    rows = [
        row
        for name, each in which.pixels.items()
        for row in compare(name, each, reference, fit=fit, per_plane=per_plane)
    ]
    return Compared(which.layers, layer, which, reference, reference.table(rows, fitted=fit))
