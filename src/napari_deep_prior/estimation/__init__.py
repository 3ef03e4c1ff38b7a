"""Estimates from the image alone of what its file does not say: noise, blur, oversampling, JPEG tables."""
