"""What a training will do is said before it begins."""

from __future__ import annotations

import re

import pytest
import torch

from napari_deep_prior import TrainingSettings
from napari_deep_prior.runs import training_forecast
from napari_deep_prior.runs.training_forecast import TrainingForecast


def said(images: int, pixels: int | None = None, *, restored: bool = False, **settings: object) -> str:
    return TrainingForecast(
        settings=TrainingSettings(**settings),
        images=images,
        pixels=pixels,
        restored=restored,
        device=torch.device("cpu"),
    ).in_words()


def test_a_training_by_minutes_takes_them() -> None:
    assert said(20) == "trains for 10 min on 18 of 20 images and holds 2 out"
    assert said(20, minutes=120, validate=0) == "trains for 2.0 h on all images, none of which is held out"
    assert said(1, minutes=0.5) == "trains for 30 s on the image, of which a part is held out"


def test_a_training_by_epochs_takes_the_longer_the_more_pixels_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_forecast, "slowness", lambda _: 1.0)
    assert "whose time depends on the size of the images" in said(20, epochs=5)
    # Of ten images one is held out.
    assert "about 45 steps or" in said(10, 10 * 2 * 128**2, epochs=5)
    short, long = (
        int(re.findall(r"or (\d+) min", said(10, pixels, epochs=100))[0]) for pixels in (2 * 10**6, 8 * 10**6)
    )
    assert long > 3 * short


def test_what_similar_patches_do_before_is_said_with_its_time_if_it_is_known() -> None:
    assert said(3, restored=True).endswith("; before that, similar patches denoise the images")
    assert re.search(r"denoise the images: about \d+ (s|min)$", said(3, 3 * 512**2, restored=True))
