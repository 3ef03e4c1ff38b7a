"""Settings dataclass to form: a widget per field, made from the field's own annotation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, final

from magicgui.widgets import CheckBox, ComboBox, FileEdit, LineEdit, SpinBox
from magicgui.widgets.bases import ValueWidget
from psygnal import Signal
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QFormLayout, QLabel, QWidget

from ..settings import Field, Settings, fields, parse_numbers


@final
class Form:
    """Widgets that show a settings object, to be laid out with :func:`add_row`.

    What a form is given, it gives back exactly, also where it shows fewer digits. A group of settings, such as the
    network of a method, is a form of its own; where there are several kinds of it, one is chosen by name.

    Parameters
    ----------
    settings : Settings
        What is shown at first; the form is for settings of its class.
    inputs : iterable of str
        The inputs that the task takes; settings that have an effect only with another input are not shown.
    only : collection of str, optional
        The settings that are shown; all if not given.
    """

    changed = Signal()

    def __init__(self, settings: Settings, inputs: Iterable[str] = (), *, only: Collection[str] | None = None) -> None:
        self._settings: Any = settings
        self._layouts: list[QFormLayout] = []
        self._visible, self._given = True, frozenset(inputs)
        self._shown: dict[str, tuple[Any, Any]] = {}
        self.widgets: dict[str, ValueWidget[Any]] = {}
        self.groups: dict[str, Group] = {}
        taken = set(inputs)
        for field in fields(type(settings)):
            if field.about.only_with and field.about.only_with not in taken:
                continue
            if only is not None and field.name not in only:
                continue
            if field.kind is Settings:
                self.groups[field.name] = Group(field, getattr(settings, field.name), taken)
                self.groups[field.name].changed.connect(self._emit)
            else:
                self.widgets[field.name] = _widget(field)
                self.widgets[field.name].changed.connect(self._emit)
        self.show(settings)

    def lay_out(self, layout: QFormLayout, *, advanced: bool) -> None:
        """Add a row for every advanced, or every everyday setting."""
        self._layouts.append(layout)
        for field in fields(type(self._settings)):
            if field.name in self.groups:
                self.groups[field.name].lay_out(layout, advanced=advanced)
            elif field.name in self.widgets and field.about.advanced == advanced:
                add_row(layout, self.widgets[field.name])

    def set_visible(self, visible: bool) -> None:
        """Show or hide all rows; of those that have an effect only with some input, the ones that have it."""
        self._visible = visible
        needed = {field.name: field.about.only_with for field in fields(type(self._settings))}
        for layout in self._layouts:
            for name, widget in self.widgets.items():
                show_row(layout, widget, visible=visible and (not needed[name] or needed[name] in self._given))
        for group in self.groups.values():
            group.set_visible(visible)

    def set_given(self, inputs: Iterable[str]) -> None:
        """Take in which inputs are chosen now."""
        self._given = frozenset(inputs)
        self.set_visible(self._visible)

    def show(self, settings: Settings) -> None:
        """Show other settings of the same class."""
        self._settings = settings
        with self.changed.blocked():
            for field in fields(type(settings)):
                value = getattr(settings, field.name)
                if field.name in self.groups:
                    self.groups[field.name].show(value)
                elif field.name in self.widgets:
                    widget = self.widgets[field.name]
                    widget.value = _text(field, value) if isinstance(widget, LineEdit) else value
                    self._shown[field.name] = (widget.value, value)
        self.changed.emit()

    def read(self) -> Any:
        """Return the settings as they stand in the form.

        Raises
        ------
        ValueError
            If a text is not a number, or a value lies outside of its limits.
        """
        known = {field.name: field for field in fields(type(self._settings))}
        values = {name: self._value(known[name]) for name in self.widgets}
        nested = {name: group.read() for name, group in self.groups.items()}
        return dataclasses.replace(self._settings, **values, **nested)

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


@final
class Group:
    """A group of settings within others: which kind of it, and the form of that kind.

    Parameters
    ----------
    field : Field
        The group's field; its ``groups`` are the kinds by name.
    settings : Settings
        What is shown at first.
    inputs : iterable of str
        The inputs that the task takes.
    """

    changed = Signal()

    def __init__(self, field: Field, settings: Settings, inputs: Iterable[str]) -> None:
        self._kinds: Mapping[str, type[Settings]] = field.groups
        self._layout: QFormLayout | None = None
        self._visible = True
        self._advanced = field.about.advanced
        self.choice: Any = ComboBox(
            name=field.name, label=field.about.label, choices=list(self._kinds), tooltip=field.about.help
        )
        self.forms = {name: Form(kind(), inputs) for name, kind in self._kinds.items()}
        self.show(settings)
        self.choice.changed.connect(self._chosen)
        for form in self.forms.values():
            form.changed.connect(self._emit)

    @property
    def form(self) -> Form:
        """The form of the kind that is chosen."""
        return self.forms[self.choice.value]

    def lay_out(self, layout: QFormLayout, *, advanced: bool) -> None:
        """Add the choice where there is one, and a row for every setting of every kind."""
        if advanced == self._advanced and len(self._kinds) > 1:
            self._layout = layout
            add_row(layout, self.choice)
        for form in self.forms.values():
            form.lay_out(layout, advanced=advanced)
        self.set_visible(self._visible)

    def set_visible(self, visible: bool) -> None:
        """Show the rows of the kind that is chosen, or hide all."""
        self._visible = visible
        if self._layout is not None:
            show_row(self._layout, self.choice, visible=visible)
        for form in self.forms.values():
            form.set_visible(visible and form is self.form)

    def show(self, settings: Settings) -> None:
        """Show other settings, of any of the kinds."""
        name = next(name for name, kind in self._kinds.items() if type(settings) is kind)
        self.forms[name].show(settings)
        self.choice.value = name

    def read(self) -> Settings:
        """Return the settings of the kind that is chosen."""
        settings: Settings = self.form.read()
        return settings

    def _chosen(self) -> None:
        self.set_visible(self._visible)
        self.changed.emit()

    def _emit(self) -> None:
        self.changed.emit()


@final
class WheelGuard(QObject):
    """Leaves the mouse wheel to the scroll area around a widget until somebody clicks into the widget."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Ignore a wheel event without focus: Qt hands it to the parent."""
        turned = event is not None and event.type() == QEvent.Type.Wheel
        if event is not None and turned and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return super().eventFilter(watched, event)


def layer_choice(layers: Callable[[], list[Any]], *, label: str, tooltip: str, optional: bool = False) -> Any:
    """Return a list of layers, of which one is chosen; or none, if that is allowed.

    Parameters
    ----------
    layers : callable
        Returns those that are offered now. They are not looked for by their kind: magicgui would search the viewer that
        is in front, which can be another one than the dock's.
    """
    return ComboBox(
        label=label,
        choices=lambda _: [(layer.name, layer) for layer in layers()],
        tooltip=tooltip,
        nullable=optional,
    )


def add_row(layout: QFormLayout, widget: ValueWidget[Any]) -> None:
    """Add a widget with its label to a form; the label has its tooltip too."""
    if isinstance(widget.native, QComboBox | QAbstractSpinBox):
        widget.native.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        widget.native.installEventFilter(WheelGuard(widget.native))
    if isinstance(widget, CheckBox):
        # Its label stands in front of it already.
        widget.native.setText("")
    elif isinstance(widget.native, QComboBox):
        # Long names of layers must not make the dock wider than it is.
        widget.native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        widget.native.setMinimumContentsLength(8)
    # Its stubs make it no widget of a value.
    of_files: object = widget
    if isinstance(of_files, FileEdit):
        of_files.choose_btn.tooltip = of_files.tooltip
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
        line.native.setPlaceholderText(field.about.empty)
    return line


def _text(field: Field, value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if field.kind is tuple else f"{value:.4g}"
