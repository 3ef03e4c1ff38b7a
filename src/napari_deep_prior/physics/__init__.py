"""What happened to the light: operators, kernels, noise, misfits, JPEG."""
