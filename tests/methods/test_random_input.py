from __future__ import annotations

import pytest
import torch

from napari_deep_prior.methods.random_input import GUIDE_STRENGTH, InputPlan, RandomInput


def made(shape: tuple[int, ...] = (9, 8), guide: torch.Tensor | None = None, **changes: object) -> RandomInput:
    settings = {"channels": 4, "value_range": 0.2, "jitter": 0.0, "jitter_warmup": 100, "guide_dropout": 0.3}
    plan = InputPlan(**({"shape": shape, "pooled": True} | settings | changes))
    generator = torch.Generator().manual_seed(0)
    return RandomInput(plan, guide, device=torch.device("cpu"), dtype=torch.float32, generator=generator)


@pytest.mark.parametrize(("pooled", "shape"), [(True, (9, 8)), (False, (9, 8)), (True, (3, 5, 4))])
def test_the_jitter_has_the_strength_asked_for_and_is_new_in_every_step(pooled: bool, shape: tuple[int, ...]) -> None:
    code = made(shape, jitter=0.5, pooled=pooled)
    draws = torch.stack([code.draw(number) - code.fixed for number in range(100, 160)])
    assert draws.shape[1:] == (1, 4, *shape)
    assert float(draws.std()) == pytest.approx(0.5, rel=0.1)
    assert not torch.equal(draws[0], draws[1])
    assert 0 <= float(code.fixed.min()) < 0.1 < float(code.fixed.max()) <= 0.2


def test_the_jitter_grows_from_a_third() -> None:
    code = made(jitter=0.5, pooled=False)
    early, late = (torch.stack([code.draw(number) - code.fixed for _ in range(40)]).std() for number in (1, 100))
    assert float(early / late) == pytest.approx(0.3, abs=0.05)


def test_without_jitter_the_input_stays_the_same() -> None:
    code = made()
    assert torch.equal(code.draw(1), code.draw(200))


def test_a_guide_is_part_of_the_input_in_all_but_some_steps() -> None:
    guide = torch.randn((1, 2, 9, 8), generator=torch.Generator().manual_seed(0))
    code = made(guide=guide)
    draws = [code.draw(number) for number in range(200)]
    assert all(draw.shape == (1, 6, 9, 8) for draw in draws)
    guided = [draw[:, 4:] for draw in draws if draw[:, 4:].any()]
    assert 0.6 < len(guided) / len(draws) < 0.8
    assert all(torch.equal(part, GUIDE_STRENGTH * guide) for part in guided)


def test_a_guide_smaller_than_the_network_is_extended_by_its_last_values() -> None:
    guide = torch.tensor([1.0, 2.0]).reshape(1, 1, 1, 2)
    draw = made((2, 2), guide, guide_dropout=0.0).draw(1)
    torch.testing.assert_close(draw[0, 4], GUIDE_STRENGTH * torch.tensor([[1.0, 2.0], [1.0, 2.0]]))
