"""From an array to its restored version: restoration, output, recommendation, record, report."""

from .efforts import EFFORTS, settings_for
from .errors import OutOfMemoryError, RestorationError
from .record import Record
from .restoration import Restoration
from .run import restore

__all__ = ["EFFORTS", "OutOfMemoryError", "Record", "Restoration", "RestorationError", "restore", "settings_for"]
