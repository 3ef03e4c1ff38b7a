from __future__ import annotations

import dataclasses

import pytest
import torch

from napari_deep_prior.networks import UNet
from napari_deep_prior.training import trainer
from napari_deep_prior.training.trainer import Trainer, TrainingPair, TrainingPlan

PLAN = TrainingPlan(
    network=UNet(channels=(8, 8)), channels=1, shape=(16, 18), precision="float32", device=torch.device("cpu")
)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def made(plan: TrainingPlan = PLAN) -> Trainer:
    return Trainer(plan, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("error", ["squared", "absolute"])
def test_training_reduces_the_loss(error: str) -> None:
    small = made(dataclasses.replace(PLAN, error=error))
    image = random(2, 1, 16, 16)
    pair = TrainingPair(image, image + 0.3, torch.ones_like(image))
    losses = [float(small.train(pair, rate=0.01)) for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]


def test_pixels_without_weight_do_not_matter() -> None:
    image, weight = random(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    weight[..., 3:6] = 0
    results = []
    for value in (0.0, 1.0):
        small = made()
        target = torch.where(weight > 0, 1 - image, value)
        for _ in range(3):
            small.train(TrainingPair(image, target, weight), rate=0.01)
        results.append(small.predict(image))
    assert torch.equal(*results)


def test_a_rate_of_zero_changes_nothing() -> None:
    small, image = made(), random(1, 1, 16, 16)
    before = small.predict(image)
    small.train(TrainingPair(image, 1 - image, torch.ones_like(image)), rate=0.0)
    assert torch.equal(small.predict(image), before)


def test_a_volume_is_the_same_whether_it_goes_through_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    small, volume = made(dataclasses.replace(PLAN, shape=(7, 16, 18))), random(1, 1, 7, 16, 18)
    whole = small.predict(volume)
    monkeypatch.setattr(trainer, "CHUNK", 3)
    torch.testing.assert_close(small.predict(volume), whole, atol=1e-5, rtol=1e-5)


def test_larger_crops_and_larger_images_need_more_memory() -> None:
    wide, wider = (dataclasses.replace(PLAN, shape=(side, side)) for side in (512, 4096))
    assert trainer.memory(PLAN, crop=512, count=64) == trainer.memory(PLAN, crop=16, count=64)
    assert trainer.memory(wide, crop=512, count=64) > 2 * trainer.memory(wide, crop=64, count=64)
    assert trainer.memory(wider, crop=16, count=1) > 2 * trainer.memory(PLAN, crop=16, count=1)
