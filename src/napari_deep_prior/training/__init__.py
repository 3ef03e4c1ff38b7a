"""How networks are trained: trainer, optimizers, schedules, precision, held-out pixels."""
