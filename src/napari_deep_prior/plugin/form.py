"""Settings dataclass to form: a widget per field, made from the field's own annotation."""

from __future__ import annotations

from typing import Any, final

from magicgui.widgets import CheckBox, ComboBox, LineEdit, SpinBox
from magicgui.widgets.bases import ValueWidget
from psygnal import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel

from ..settings import Field, Settings, flat_fields, parse_numbers, replace_flat


@final
class Form:
    """Widgets that show a settings object, to be laid out with :func:`add_row`.

    What a form is given, it gives back exactly, also where it shows fewer digits.
    """

    changed = Signal()

    def __init__(self, settings: Settings) -> None:
        self._settings: Any = settings
        self._layouts: list[QFormLayout] = []
        self._shown: dict[str, tuple[Any, Any]] = {}
        self.widgets: dict[str, ValueWidget[Any]] = {}
        for field in flat_fields(settings):
            self.widgets[field.name] = _widget(field)
            self.widgets[field.name].changed.connect(self._emit)
        self.show(settings)

    def lay_out(self, layout: QFormLayout, *, advanced: bool) -> None:
        """Add a row for every advanced, or every everyday setting."""
        self._layouts.append(layout)
        for field in flat_fields(self._settings):
            if field.about.advanced == advanced:
                add_row(layout, self.widgets[field.name])

    def set_visible(self, visible: bool) -> None:
        """Show or hide all rows."""
        for layout in self._layouts:
            for widget in self.widgets.values():
                show_row(layout, widget, visible=visible)

    def show(self, settings: Settings) -> None:
        """Show other settings of the same class."""
        self._settings = settings
        with self.changed.blocked():
            for field in flat_fields(settings):
                widget = self.widgets[field.name]
                widget.value = _text(field) if isinstance(widget, LineEdit) else field.default
                self._shown[field.name] = (widget.value, field.default)
        self.changed.emit()

    def read(self) -> Any:
        """Return the settings as they stand in the form.

        Raises
        ------
        ValueError
            If a text is not a number, or a value lies outside of its limits.
        """
        return replace_flat(self._settings, {field.name: self._value(field) for field in flat_fields(self._settings)})

    def _emit(self) -> None:
        self.changed.emit()

    def _value(self, field: Field) -> Any:
        value = self.widgets[field.name].value
        shown, exact = self._shown[field.name]
        if value == shown:
            return exact
        if field.kind is tuple:
            return parse_numbers(value)
        if field.optional and not value.strip():
            return None
        if field.kind is int and isinstance(value, str):
            try:
                return int(value)
            except ValueError:
                raise ValueError(f"{field.about.label} is {value!r}; it must be a whole number, such as 10") from None
        if field.kind is float:
            try:
                return float(value)
            except ValueError:
                raise ValueError(f"{field.about.label} is {value!r}; it must be a number, such as 0.01") from None
        return value


def add_row(layout: QFormLayout, widget: ValueWidget[Any]) -> None:
    """Add a widget with its label to a form; the label has its tooltip too."""
    if isinstance(widget, CheckBox):
        # Its label stands in front of it already.
        widget.native.setText("")
    elif isinstance(widget.native, QComboBox):
        # Long names of layers must not make the dock wider than it is.
        widget.native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        widget.native.setMinimumContentsLength(8)
    label = QLabel(widget.label)
    label.setToolTip(widget.tooltip or "")
    layout.addRow(label, widget.native)


def show_row(layout: QFormLayout, widget: ValueWidget[Any], *, visible: bool) -> None:
    """Show or hide a widget together with its label."""
    label = layout.labelForField(widget.native)
    if label is not None:
        widget.visible = visible
        label.setVisible(visible)


def _widget(field: Field) -> ValueWidget[Any]:
    about: dict[str, Any] = {"name": field.name, "label": field.about.label, "tooltip": field.about.help}
    if field.choices:
        return ComboBox(choices=field.choices, **about)
    if field.kind is bool:
        return CheckBox(**about)
    if field.kind is int and not field.optional:
        return SpinBox(min=int(field.about.low), max=int(field.about.high), **about)
    # A line of text for floats: a spin box would round what it shows, and the result would be another one. And for what
    # may be left out: a spin box is never empty.
    line = LineEdit(**about)
    if field.optional:
        line.native.setPlaceholderText("estimated")
    return line


def _text(field: Field) -> str:
    value = field.default
    if value is None:
        return ""
    return ", ".join(map(str, value)) if field.kind is tuple else f"{value:.4g}"
