"""What a dock offers where something is in the way of a run: the same run once more, with an answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import final

from qtpy.QtCore import QObject

from .outcome import OutcomePanel
from .request import Request
from .result_place import ResultPlace


@final
class Offers(QObject):
    """Begins the last run once more when a button is pressed.

    Parameters
    ----------
    outcome, place : OutcomePanel, ResultPlace
        Where the buttons are, and the folder of the result.
    begin : callable
        Begins the run that a function returns.
    """

    def __init__(
        self, outcome: OutcomePanel, place: ResultPlace, begin: Callable[[Callable[[], Request]], None]
    ) -> None:
        super().__init__(outcome)
        self._place, self._begin = place, begin
        self.last: Request | None = None
        outcome.folder_button.clicked.connect(self._choose_folder)
        outcome.resume_button.clicked.connect(lambda: self._again(goes_on=True))
        outcome.anew_button.clicked.connect(lambda: self._again(goes_on=False))

    def _choose_folder(self) -> None:
        request = self.last
        if request is not None and self._place.ask(request.name):
            self._begin(lambda: dataclasses.replace(request, folder=self._place.folder))

    def _again(self, *, goes_on: bool) -> None:
        request = self.last
        if request is not None:
            self._begin(lambda: dataclasses.replace(request, goes_on=goes_on))
