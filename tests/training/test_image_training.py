"""A training on many images: what it keeps, when it ends, how it goes on."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from napari_deep_prior.networks import FCN32s, UNet
from napari_deep_prior.training.held_out_images import HeldOutImage
from napari_deep_prior.training.image_sets import PairedImages
from napari_deep_prior.training.image_training import ImageTraining
from napari_deep_prior.training.trainer import Trainer, TrainingPair, TrainingPlan
from napari_deep_prior.training.training_settings import TrainingSettings

SETTINGS = TrainingSettings(
    network=UNet(channels=(8, 8)), crop=16, examples=2, epochs=40, rate=0.01, precision="float32"
)
PLAN = TrainingPlan(
    network=SETTINGS.network, channels=1, shape=(16, 16), precision="float32", device=torch.device("cpu"), averaging=0.9
)


def image(seed: int) -> torch.Tensor:
    return torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(seed))


def made(settings: TrainingSettings = SETTINGS, *, shift: float = 0.3, held_out: bool = True) -> ImageTraining:
    """Return a training whose network is to add 0.3, on the held-out image ``shift``."""
    given = image(1)
    target = given + shift
    other = HeldOutImage(
        "other", TrainingPair(given, target, torch.ones_like(given)), target, lambda values: values, 1.0
    )
    images = PairedImages([(image(0), image(0) + 0.3)])
    return ImageTraining(settings, PLAN, images, pixels=1024, held_out=[other] if held_out else [])


def test_training_makes_held_out_images_better_and_ends_after_its_epochs() -> None:
    training = made()
    steps = list(training.steps())
    assert [step.number for step in steps] == list(range(1, 1 + 40 * 2))
    best = steps[-1].best
    assert best is not None
    assert best.after.psnr > best.before.psnr + 6
    assert steps[-1].done == 1


def test_the_best_weights_are_kept_not_the_last_ones() -> None:
    # What the network is trained to do makes the held-out image worse from the first step on.
    training = made(shift=-0.3)
    before = training.trainer.weights
    step = list(training.steps())[-1]
    assert step.chosen == 0
    assert all(torch.equal(step.weights[name], before[name]) for name in before)
    assert not all(torch.equal(training.trainer.weights[name], before[name]) for name in before)


def test_without_held_out_images_the_last_weights_are_kept() -> None:
    training = made(held_out=False)
    step = list(training.steps())[-1]
    assert (step.chosen, step.best, step.validation) == (80, None, None)
    assert all(torch.equal(each, training.trainer.weights[name]) for name, each in step.weights.items())


def test_stopping_early_leaves_weights_that_were_kept() -> None:
    training = made(dataclasses.replace(SETTINGS, epochs=500))
    for step in training.steps():
        if step.number == 250:
            break
    assert step.chosen in (100, 200)
    assert step.best is not None
    assert step.best.after.psnr > step.best.before.psnr


def test_the_same_seed_gives_the_same_network() -> None:
    few = dataclasses.replace(SETTINGS, epochs=3)
    first, second, other = (list(made(dataclasses.replace(few, seed=seed)).steps())[-1].weights for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_training_ends_when_its_time_is_over() -> None:
    steps = list(made(dataclasses.replace(SETTINGS, epochs=None, minutes=0.01)).steps())
    assert steps[-1].done == 1
    assert all(step.done < 1 for step in steps[:-1])


def test_a_trainer_goes_on_exactly_where_another_one_was() -> None:
    pair = TrainingPair(image(0), image(0) + 0.3, torch.ones(1, 1, 32, 32))
    first, second = (Trainer(PLAN, torch.Generator().manual_seed(seed)) for seed in (0, 9))
    for _ in range(3):
        first.train(pair, rate=0.01)
    second.load_state(first.state())
    for trainer in (first, second):
        trainer.train(pair, rate=0.01)
    assert torch.equal(first.predict(image(1)), second.predict(image(1)))
    assert first.steps == second.steps == 4


def test_a_training_that_is_resumed_keeps_what_was_best() -> None:
    first = made(shift=-0.3)
    list(first.steps())
    second = made(shift=-0.3)
    second.resume(first.trainer.state(), first.kept.weights, chosen=first.kept.chosen)
    assert second.kept.best == first.kept.best
    step = next(second.steps())
    assert step.number == 81
    assert all(torch.equal(step.weights[name], first.kept.weights[name]) for name in step.weights)


def test_a_network_that_draws_the_image_itself_has_nothing_of_what_goes_in() -> None:
    draws = Trainer(dataclasses.replace(PLAN, residual=False), torch.Generator().manual_seed(0))
    corrects = Trainer(PLAN, torch.Generator().manual_seed(0))
    given = image(0)
    torch.testing.assert_close(draws.predict(given, orientations=1) + given, corrects.predict(given, orientations=1))


def test_pooling_deeper_than_a_crop_is_refused() -> None:
    with pytest.raises(ValueError, match="32 pixels wide, and a crop has only 16: choose a crop of at least 32"):
        TrainingSettings(network=FCN32s(), crop=16)


def test_minutes_and_epochs_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="both 2 minutes and 3 epochs"):
        TrainingSettings(minutes=2, epochs=3)
