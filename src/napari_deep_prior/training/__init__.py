"""How networks are trained: trainer, augmentation, optimizers, schedules, precision, held-out pixels, stopping."""
