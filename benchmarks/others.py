"""Other denoisers, each with what a careful user would give it.

That is the noise that this package estimates, or the strength that is chosen on the image itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.estimation.channels import GivenNoise, estimate_windows
from napari_deep_prior.estimation.sampling import windows_of
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.photon_misfits import AnscombeMisfit

PLAIN = ("nlm", "tv", "wavelet")
"""Denoisers that choose their own strength: they also work without the Anscombe transform."""

BM3D, BM3D_PSD = "anscombe + bm3d", "anscombe + bm3d with PSD"
OTHERS = (*PLAIN, *(f"anscombe + {name}" for name in PLAIN), BM3D, BM3D_PSD)

LEAST_CORRELATION, LEAST_POWER = 1e-6, 1e-3
"""Smallest correlation of neighbours, and smallest power at a frequency in units of the mean, that BM3D is given."""


def prepare(name: str) -> None:
    """Import what a denoiser needs, which is none of its time.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    if "bm3d" not in name:
        import skimage.restoration  # noqa: F401

        return
    import bm3d  # noqa: F401

    if not hasattr(np, "trapz"):
        # bm4d 4.2.5, which bm3d calls with a power spectrum, needs the name that NumPy 2.4 no longer has.
        np.trapz = np.trapezoid  # noqa: NPY201


def denoise(image: Array, name: str) -> tuple[Array, str]:
    """Return a denoised image (YX or YXS), and a note; channels one by one.

    Raises
    ------
    ValueError
        If BM3D is to know the spectrum of noise that is not correlated: it would do the same as without.
    """
    inside, _, denoiser = name.rpartition(" + ")
    channels = [image] if image.ndim == 2 else list(np.moveaxis(image, -1, 0))
    if not inside:
        done = [calibrated(channel.astype(np.float64), denoiser, sigma=None) for channel in channels]
        return _joined(done, image.ndim), ""
    models = [_noise(channel) for channel in channels]
    if name == BM3D_PSD and not any(model.correlated for model in models):
        raise ValueError("the noise is not correlated")
    pairs = zip(channels, models, strict=True)
    done = [_stabilised(channel.astype(np.float64), denoiser, model) for channel, model in pairs]
    return _joined(done, image.ndim), f"correlation {max(max(model.correlation) for model in models):.2f}"


def spectrum(shape: tuple[int, ...], correlation: Sequence[float]) -> Array:
    """Return the power spectrum of noise of variance 1, by the correlation of neighbours along each axis.

    That of white noise after a Gaussian blur, whose autocorrelation falls with the square of the distance; scaled as
    BM3D takes it: the mean is the variance times the number of pixels.
    """
    power = np.ones(())
    for length, neighbours in zip(shape, correlation, strict=True):
        distance = np.minimum(np.arange(length), length - np.arange(length)).astype(float)
        along = np.fft.fft(max(neighbours, LEAST_CORRELATION) ** (distance**2)).real.clip(LEAST_POWER)
        power = np.multiply.outer(power, along / along.mean())
    return power * np.prod(shape)


def calibrated(image: Array, name: str, *, sigma: float | None) -> Array:
    """Return an image denoised with the strength that scikit-image chooses on it (J-invariance).

    Parameters
    ----------
    sigma : float or None
        Standard deviation of the noise; estimated if it is not given.
    """
    from skimage import restoration

    low, span = image.min(), np.ptp(image)
    unit = (image - low) / span
    deviation = restoration.estimate_sigma(unit) if sigma is None else sigma / span
    grids: dict[str, tuple[Callable, dict]] = {
        "nlm": (
            restoration.denoise_nl_means,
            {"h": deviation * np.array([0.6, 0.8, 1.0]), "sigma": [deviation], "fast_mode": [True]},
        ),
        "tv": (restoration.denoise_tv_chambolle, {"weight": deviation * np.array([0.5, 1.0, 1.5, 2.0])}),
        "wavelet": (
            restoration.denoise_wavelet,
            {"sigma": deviation * np.array([0.75, 1.0, 1.5]), "rescale_sigma": [True]},
        ),
    }
    function, parameters = grids[name]
    return restoration.calibrate_denoiser(unit, function, denoise_parameters=parameters)(unit) * span + low


def _noise(channel: Array) -> NoiseModel:
    (model,), _ = estimate_windows(windows_of(channel.astype(np.float64), "YX"), GivenNoise())
    return model


def _stabilised(channel: Array, name: str, model: NoiseModel) -> Array:
    """Return a channel denoised inside the Anscombe transform, where the noise has variance 1."""
    grey = torch.from_numpy(channel)[None, None]
    misfit = AnscombeMisfit([model], (np.ones(1), np.zeros(1)), grey)
    noisy = misfit.stabilise(grey)[0, 0].numpy()
    if name in PLAIN:
        denoised = calibrated(noisy, name, sigma=1.0)
    else:
        from bm3d import bm3d

        denoised = bm3d(noisy, spectrum(noisy.shape, model.correlation) if name.endswith("PSD") else 1.0)
    return misfit.unstabilise(torch.from_numpy(denoised)[None, None])[0, 0].numpy()


def _joined(channels: list[Array], axes: int) -> Array:
    return channels[0] if axes == 2 else np.stack(channels, axis=-1)
