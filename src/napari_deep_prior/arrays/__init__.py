"""Arrays: axes, pieces, masks, registration, metrics, generated images."""
