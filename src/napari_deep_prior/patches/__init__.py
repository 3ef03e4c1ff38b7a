"""Similar patches denoised together."""
