"""Arrays: axes, frames, pieces, masks, resampling, registration, metrics, simulated images."""
