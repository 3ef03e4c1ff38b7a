"""How and how much: method, effort, and the settings that belong to them."""

from __future__ import annotations

from typing import Any, final

from magicgui.widgets import ComboBox
from psygnal import Signal
from qtpy.QtWidgets import QFormLayout

from ..methods import Method
from ..runs.efforts import AUTO, DEFAULT_EFFORT, EFFORTS, methods_of, name_of
from ..runs.recommend import Wish, asked, with_seed_of
from ..runs.record import Recipe
from ..runs.report import TASK_NAMES
from ..tasks import Task
from .form import Form, add_row, show_row

AUTO_LABEL = "auto — chosen for the image"


@final
class MethodForm:
    """Widgets for a :class:`~napari_deep_prior.runs.recommend.Wish`.

    The settings that are shown are those of the method and the effort until the person changes one of them.
    """

    changed = Signal()

    def __init__(self, task: Task) -> None:
        self._task, self._volume, self._showing = task, False, False
        self._rows: QFormLayout | None = None
        methods = methods_of(task)
        self._efforts = {name: [effort for effort in EFFORTS if effort in efforts] for name, efforts in methods.items()}
        offered = {effort for efforts in self._efforts.values() for effort in efforts}
        self._efforts[AUTO] = [effort for effort in EFFORTS if effort in offered]
        labels = [(next(iter(efforts.values())).in_words(), name) for name, efforts in methods.items()]
        self.method: Any = ComboBox(
            label="Method",
            choices=[(AUTO_LABEL, AUTO), *labels],
            value=AUTO,
            tooltip="How it is done; the line below says what will run",
        )
        self.effort: Any = ComboBox(
            label="Effort",
            choices=self._efforts[AUTO],
            value=DEFAULT_EFFORT,
            tooltip="How much time is spent on it; published: with the settings of the method's paper",
        )
        self._forms = {name: Form(efforts[self._efforts[name][0]], task.takes) for name, efforts in methods.items()}
        self.form = self._forms[next(iter(methods))]
        self._show_standard()
        self.method.changed.connect(self._method_chosen)
        self.effort.changed.connect(self._show_standard)
        for form in self._forms.values():
            form.changed.connect(self._emit)

    def lay_out_choice(self, rows: QFormLayout) -> None:
        """Add the rows of method and effort."""
        self._rows = rows
        add_row(rows, self.method)
        add_row(rows, self.effort)
        self._show_rows()

    def lay_out_advanced(self, rows: QFormLayout) -> None:
        """Add the rows of all settings: method and effort are enough for every day."""
        for form in self._forms.values():
            form.lay_out(rows, advanced=False)
            form.lay_out(rows, advanced=True)
        self._show_rows()

    @property
    def is_changed(self) -> bool:
        """Whether the person changed a setting of the method."""
        try:
            return bool(self.form.read() != self._standard())
        except ValueError:
            return True

    def wish(self) -> Wish:
        """Return what the person asks for; settings only where one was changed.

        Raises
        ------
        ValueError
            If a setting is not what it must be.
        """
        settings: Method = self.form.read()
        return Wish(
            method=self.method.value,
            effort=self.effort.value,
            settings=None if settings == self._standard() else settings,
            volume=self._volume,
        )

    def set_given(self, inputs: frozenset[str]) -> None:
        """Take in which inputs are chosen: some settings have an effect only with one."""
        for form in self._forms.values():
            form.set_given(inputs)

    def set_volume(self, volume: bool) -> None:
        """Take in whether Z, Y and X are restored together: auto may choose another method for that."""
        if volume == self._volume:
            return
        untouched = not self.is_changed
        self._volume = volume
        if untouched:
            self._show_standard()

    def show_settings(self, settings: Method) -> None:
        """Choose the method that settings belong to, and show them."""
        self._choose(name_of(settings), self.effort.value)
        self._show(settings)

    def show_recipe(self, recipe: Recipe) -> None:
        """Show method, effort and settings of a run that was made.

        Raises
        ------
        ValueError
            If the task cannot be done by its method.
        """
        ran = name_of(recipe.method)
        if ran not in self._forms:
            raise ValueError(
                f"{TASK_NAMES[self._task.command]!r} has no method {recipe.method.in_words()!r}, by which it was made"
            )
        self._choose(recipe.asked_method if recipe.asked_method in self._efforts else ran, recipe.effort)
        if type(self._standard()) is not type(recipe.method):
            # Auto, or what stood in for another method, chose by that image; this one may show something else.
            self._choose(ran, recipe.effort)
        self._show(recipe.method)

    def _standard(self) -> Method:
        """Return the settings of the method and the effort as they are chosen."""
        wish = Wish(method=self.method.value, effort=self.effort.value, volume=self._volume)
        return asked(self._task, wish)[0]

    def _choose(self, method: str, effort: str) -> None:
        """Choose method and effort without a word to others; an effort that the method lacks is left out."""
        with self.method.changed.blocked(), self.effort.changed.blocked():
            self.method.value = method
            known = self._efforts[method]
            kept = next(name for name in (effort, DEFAULT_EFFORT, *known) if name in known)
            self.effort.choices = known
            self.effort.value = kept

    def _method_chosen(self, method: str) -> None:
        self._choose(method, self.effort.value)
        self._show_standard()

    def _show_standard(self) -> None:
        try:
            before: Method = self.form.read()
        except ValueError:
            # A seed that cannot be read is not kept.
            before = self._standard()
        self._show(with_seed_of(self._standard(), before))

    def _show(self, settings: Method) -> None:
        self.form = self._forms[name_of(settings)]
        self._showing = True
        self.form.show(settings)
        self._showing = False
        self._show_rows()
        self.changed.emit()

    def _show_rows(self) -> None:
        """Show the rows of the method that is taken, and efforts only where they differ."""
        for form in self._forms.values():
            form.set_visible(form is self.form)
        if self._rows is not None:
            wishes = [Wish(method=self.method.value, effort=effort) for effort in self._efforts[self.method.value]]
            settings = [asked(self._task, wish)[0] for wish in wishes]
            show_row(self._rows, self.effort, visible=any(each != settings[0] for each in settings))

    def _emit(self) -> None:
        if not self._showing:
            self.changed.emit()
