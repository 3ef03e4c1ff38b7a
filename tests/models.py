"""Tiny trained networks: with random weights, and trained for a moment."""

from __future__ import annotations

from functools import cache

import torch

from napari_deep_prior import Denoise, SuperResolve, TrainingImage, TrainingSettings, train
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.networks import UNet
from napari_deep_prior.runs.train import CANONICAL
from napari_deep_prior.training.model import Model
from napari_deep_prior.training.standardised import BY_CONTRAST
from napari_deep_prior.training.trainer import Trainer, TrainingPlan

SMALL = UNet(channels=(8, 8))


def tiny_model(*, channels: int = 1, factor: float | None = None, scale: float = 1.0) -> Model:
    """Return a network that was never trained; ``scale`` multiplies its weights."""
    plan = TrainingPlan(
        network=SMALL, channels=channels, shape=(16, 16), precision="float32", device=torch.device("cpu")
    )
    weights = Trainer(plan, torch.Generator().manual_seed(0)).weights
    return Model(
        task="denoise" if factor is None else "super-resolve",
        method="none",
        settings={"training": {"correction": True}},
        network=SMALL,
        weights={name: scale * each for name, each in weights.items()},
        channels=channels,
        shape=(16, 16),
        intensity=BY_CONTRAST if factor is None else CANONICAL,
        factors=() if factor is None else (factor, factor),
    )


@cache
def trained_model(*, enlarges: bool) -> Model:
    """Return a network that was trained for a second on cells: to denoise, or to enlarge by 2."""
    camera = Camera()
    clean = [camera.expected(cells((64, 64), seed=seed)) for seed in range(3)]
    images = [TrainingImage(name=f"cells {number}", pixels=each, axes="YX") for number, each in enumerate(clean)]
    quick = {"network": UNet(channels=(16, 16)), "crop": 32, "examples": 4, "epochs": 100, "rate": 0.005}
    settings = TrainingSettings(precision="float32", clean=not enlarges, **quick)
    task = SuperResolve() if enlarges else Denoise(gain=camera.gain, offset=camera.offset, sigma=camera.read_noise)
    run = train(images, task, settings, device="cpu")
    for _ in run:
        pass
    return run.model
