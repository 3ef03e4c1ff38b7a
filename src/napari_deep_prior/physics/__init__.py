"""How an image is measured: operators, kernels, noise models, misfits, JPEG compression."""
