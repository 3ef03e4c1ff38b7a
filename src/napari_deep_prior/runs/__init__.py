"""From an array to its restored version: restoration, output, recommendation, record, report."""

from ..training.training_settings import TrainingSettings
from .efforts import EFFORTS, settings_for
from .errors import OutOfMemoryError, RestorationError
from .record import Record
from .restoration import Restoration
from .run import restore
from .train import Training, train
from .training_images import TrainingImage

__all__ = [
    "EFFORTS",
    "OutOfMemoryError",
    "Record",
    "Restoration",
    "RestorationError",
    "Training",
    "TrainingImage",
    "TrainingSettings",
    "restore",
    "settings_for",
    "train",
]
