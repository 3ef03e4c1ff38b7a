"""A list of layers, of which several can be ticked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import final

from napari.layers import Image
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem

MOST_NAMES = 5
"""Names that are shown without scrolling."""

TICKED, EMPTY = Qt.CheckState.Checked, Qt.CheckState.Unchecked


@final
class LayerTicks(QListWidget):
    """Names of layers with a box each; a click on the name ticks it as well.

    Parameters
    ----------
    layers : callable
        Returns those that are offered now.
    """

    def __init__(self, layers: Callable[[], list[Image]], *, tooltip: str) -> None:
        super().__init__()
        self._offered, self._layers = layers, list[Image]()
        self._before = EMPTY
        self.setToolTip(tooltip)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        # In napari's dark theme an empty box has hardly another colour than the list.
        self.setStyleSheet("QListView::indicator:unchecked { border: 1px solid gray; }")
        self.itemClicked.connect(self._clicked)
        viewport = self.viewport()
        if viewport is not None:
            viewport.installEventFilter(self)

    @property
    def ticked(self) -> list[Image]:
        """The layers that are ticked, in the order of the list."""
        return [layer for at, layer in enumerate(self._layers) if self._item(at).checkState() == TICKED]

    def tick(self, layers: Iterable[Image]) -> None:
        """Tick these layers and no others."""
        wanted = list(layers)
        for at, layer in enumerate(self._layers):
            self._item(at).setCheckState(TICKED if layer in wanted else EMPTY)

    def layers_changed(self) -> None:
        """Offer the layers that there are now; what was ticked stays ticked."""
        ticked = self.ticked
        self._layers = self._offered()
        self.clear()
        for layer in self._layers:
            item = QListWidgetItem(layer.name)
            item.setToolTip(layer.name)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            self.addItem(item)
        self.tick(ticked)
        height = self.sizeHintForRow(0) if self._layers else self.fontMetrics().height()
        self.setFixedHeight(height * min(MOST_NAMES, max(2, len(self._layers))) + 2 * self.frameWidth())

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Note the state of a box when the mouse is pressed: nothing else says whether Qt changes it by the click."""
        if isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseButtonPress:
            item = self.itemAt(event.position().toPoint())
            if item is not None:
                self._before = item.checkState()
        return super().eventFilter(watched, event)

    def _item(self, at: int) -> QListWidgetItem:
        item = self.item(at)
        if item is None:
            raise IndexError(at)
        return item

    def _clicked(self, item: QListWidgetItem) -> None:
        # Qt itself has ticked it if the box was clicked.
        if item.checkState() == self._before:
            item.setCheckState(EMPTY if self._before == TICKED else TICKED)
