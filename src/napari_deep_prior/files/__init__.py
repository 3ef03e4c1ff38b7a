"""Files in and out: images, kernels, tables of JPEG files."""
