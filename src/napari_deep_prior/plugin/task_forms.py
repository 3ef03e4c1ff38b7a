"""The forms of all tasks in one dock: those of the task that is chosen are shown."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, final

from magicgui.widgets import ComboBox
from psygnal import Signal
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from ..runs.recommend import Wish
from ..runs.report import TASK_NAMES
from ..tasks import TASKS, Task
from .folded_settings import FoldedSettings
from .form import Form, add_row
from .method_form import MethodForm


@final
class TaskForm(QWidget):
    """The settings of one task, with those of its methods."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task_form, self.method_form = Form(task, task.takes), MethodForm(task)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self._rows = rows = QFormLayout()
        self.task_form.lay_out(rows, advanced=False)
        self.method_form.lay_out_choice(rows)
        column.addLayout(rows)
        content = QWidget()
        advanced = QFormLayout(content)
        advanced.setContentsMargins(0, 0, 0, 0)
        self.task_form.lay_out(advanced, advanced=True)
        self.method_form.lay_out_advanced(advanced)
        self.folded = FoldedSettings(content, self.method_form)
        column.addWidget(self.folded)

    def align_with(self, rows: QFormLayout) -> None:
        """Have the labels as wide as those of the rows above, so that all fields are below each other."""
        labels = _labels(rows) + _labels(self._rows)
        width = max(label.sizeHint().width() for label in labels)
        for label in labels:
            label.setMinimumWidth(width)


@final
class TaskForms(QWidget):
    """Choose a task, and its settings; each task keeps those that were chosen for it."""

    changed = Signal()
    """Another task is chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.choice: Any = ComboBox(
            label="Task",
            choices=[(TASK_NAMES[command], command) for command in TASKS],
            tooltip="What is done with every image",
        )
        self._forms: dict[str, TaskForm] = {}
        self._given: frozenset[str] = frozenset()
        self._volume = False
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self.choice.changed.connect(self._chosen)
        self._chosen()

    def lay_out_choice(self, rows: QFormLayout) -> None:
        """Add the choice of the task to a form."""
        add_row(rows, self.choice)

    @property
    def task(self) -> type[Task]:
        """The task that is chosen."""
        return TASKS[self.choice.value]

    @property
    def form(self) -> TaskForm:
        """The settings of the task that is chosen."""
        return self._forms[self.choice.value]

    def set_given(self, inputs: AbstractSet[str]) -> None:
        """Take in which inputs are chosen: some settings have an effect only with one."""
        self._given = frozenset(inputs)
        self.form.task_form.set_given(self._given)
        self.form.method_form.set_given(self._given)

    def set_volume(self, volume: bool) -> None:
        """Take in whether Z, Y and X are restored together."""
        self._volume = volume
        self.form.method_form.set_volume(volume)

    def read(self) -> tuple[Task, Wish]:
        """Return what is to be done, and how; raises a ValueError if a setting is not what it must be."""
        return self.form.task_form.read(), self.form.method_form.wish()

    def _chosen(self) -> None:
        command = self.choice.value
        if command not in self._forms:
            self._forms[command] = TaskForm(TASKS[command]())
            self._column.addWidget(self._forms[command])
        for each, form in self._forms.items():
            form.setVisible(each == command)
        self.set_volume(self._volume)
        self.set_given(self._given)
        self.changed.emit()


def _labels(rows: QFormLayout) -> list[QWidget]:
    items = [rows.itemAt(row, QFormLayout.ItemRole.LabelRole) for row in range(rows.rowCount())]
    return [widget for item in items if item is not None and (widget := item.widget()) is not None]
