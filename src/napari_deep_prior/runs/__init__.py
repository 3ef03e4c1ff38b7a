"""From an array to its restored version: restoration, output, recommendation, record, report."""

from .errors import OutOfMemoryError, RestorationError
from .presets import preset
from .restoration import Restoration, restore

__all__ = ["OutOfMemoryError", "Restoration", "RestorationError", "preset", "restore"]
