from __future__ import annotations

import numpy as np
import pytest

from napari_deep_prior.training.schedules import WARMUP, WINDOW, SlopeRate, cosine_rate


def test_the_cosine_rate_rises_to_its_full_size_and_falls_to_the_end() -> None:
    rates = [cosine_rate(0.01, step=step, steps=1000) for step in range(1, 1001)]
    assert int(np.argmax(rates)) + 1 == WARMUP
    assert max(rates) == pytest.approx(0.01, rel=0.01)
    assert rates[0] < 0.1 * max(rates)
    assert rates[499] == pytest.approx(0.005)
    assert rates[-1] == pytest.approx(1e-4)


@pytest.mark.parametrize(("level", "noise"), [(0.05, 0.0), (0.05, 1e-4), (0.0, 0.0)])
def test_the_slope_rate_falls_when_the_error_does_not_and_ends_training(level: float, noise: float) -> None:
    policy = SlopeRate(1e-3)
    errors = level + np.random.default_rng(0).normal(0, noise, 200)
    for number, error in enumerate(errors, start=1):
        policy.observe(50 * number, error)
        if policy.finished:
            break
    assert policy.finished
    assert WINDOW <= 50 * number < 5000


def test_the_slope_rate_stays_while_the_error_falls() -> None:
    policy = SlopeRate(1e-3)
    for number in range(1, 61):
        policy.observe(50 * number, 0.1 - 0.001 * number)
    assert policy.rate == 1e-3
