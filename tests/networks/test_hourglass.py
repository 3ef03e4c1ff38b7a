from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn import functional

from napari_deep_prior.networks import Hourglass
from napari_deep_prior.networks.layers import (
    _pad_edges_by_slices,
    _pad_reflection_by_slices,
    _upsample_linear_by_slices,
    pad_edges,
    pad_reflection,
    upsample,
)
from napari_deep_prior.networks.network import initialise, training_memory

CPU = torch.device("cpu")
TINY = Hourglass(channels=(8, 8), skip=(2, 2))


def built(settings: Hourglass, shape: tuple[int, ...], *, outputs: int = 1, seed: int = 0) -> torch.nn.Module:
    network = settings.build(inputs=4, outputs=outputs, shape=shape, device=CPU)
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def code(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.rand(1, 4, *shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("upsampling", ["bilinear", "nearest"])
@pytest.mark.parametrize("shape", [(2, 3), (17, 31), (2, 9, 8)])
def test_each_kind_of_layers_returns_the_size_of_its_input(shape: tuple[int, ...], upsampling: str) -> None:
    settings = Hourglass(
        channels=(8, 8, 8),
        skip=(2, 0, 2),
        upsampling=upsampling,
        normalise_joined=True,
        padding="reflection",
        pointwise="all",
    )
    image = built(settings, shape, outputs=3)(code(shape))
    assert image.shape == (1, 3, *shape)
    assert torch.isfinite(image).all()


def test_the_sigmoid_limits_the_image_and_linear_does_not() -> None:
    for activation, limited in (("sigmoid", True), ("linear", False)):
        network = built(dataclasses.replace(TINY, activation=activation), (16, 16))
        with torch.no_grad():
            network.head.weight.mul_(50)
            image = network(code((16, 16)))
        assert (image.min() >= 0 and image.max() <= 1) == limited


def test_weights_are_drawn_within_the_bounds_of_pytorch() -> None:
    for name, parameter in built(Hourglass(channels=(32,), skip=(0,)), (16, 16)).named_parameters():
        if parameter.ndim > 1:
            bound = parameter[0].numel() ** -0.5
            assert 0.8 * bound < parameter.abs().max() <= bound, name


@pytest.mark.parametrize(("channels", "skip"), [((), ()), ((8, 8), (2,)), ((8,), (2, 2))])
def test_scales_without_a_number_each_are_refused(channels: tuple[int, ...], skip: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one number per scale"):
        Hourglass(channels=channels, skip=skip)


def test_thin_axes_keep_their_planes_while_the_others_are_halved() -> None:
    network = built(Hourglass(channels=(8, 8, 8), skip=(0, 0, 0)), (2, 16, 16))
    sizes = []
    for module in network.modules():
        if isinstance(module, torch.nn.Sequential):
            module.register_forward_hook(lambda _module, _inputs, output: sizes.append(tuple(output.shape[2:])))
    network(code((2, 16, 16)))
    assert (2, 2, 2) in sizes
    assert all(size[0] == 2 for size in sizes)


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (1, 3, 4)])
def test_both_ways_of_repeating_the_edges_agree(shape: tuple[int, ...]) -> None:
    image = torch.rand(1, 3, *shape)
    padded = pad_edges(image, 3)
    assert torch.equal(padded, _pad_edges_by_slices(image, 3))
    assert padded.shape[2:] == tuple(length + 6 for length in shape)
    assert torch.equal(padded[..., 3, :3], padded[..., 3, 3:4].expand(*padded.shape[:-2], 3))


@pytest.mark.parametrize("shape", [(2, 2), (5, 7), (2, 3, 4)])
def test_both_ways_of_padding_by_reflection_agree(shape: tuple[int, ...]) -> None:
    image = torch.rand(1, 3, *shape)
    padded = pad_reflection(image)
    assert torch.equal(padded, _pad_reflection_by_slices(image))
    assert padded.shape[2:] == tuple(length + 2 for length in shape)
    inside = (slice(None), slice(None), *(slice(1, -1),) * (len(shape) - 1))
    assert torch.equal(padded[inside][..., 1:-1], image)
    # The border pixel itself is not repeated.
    assert torch.equal(padded[inside][..., 0], image[..., 1])


@pytest.mark.parametrize(
    ("shape", "factors"), [((5, 7), (2, 2)), ((2, 5), (1, 2)), ((3, 4, 5), (2, 2, 2)), ((2, 4, 5), (1, 2, 2))]
)
def test_both_ways_of_linear_upsampling_agree(shape: tuple[int, ...], factors: tuple[int, ...]) -> None:
    image = torch.rand(1, 3, *shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(upsample(image, factors, "bilinear"), _upsample_linear_by_slices(image, factors))


@pytest.mark.parametrize(("shape", "factors"), [((5, 7), (2, 2)), ((2, 4, 5), (1, 2, 2))])
def test_nearest_upsampling_repeats_pixels(shape: tuple[int, ...], factors: tuple[int, ...]) -> None:
    image = torch.rand(1, 3, *shape)
    scale = [float(factor) for factor in factors]
    assert torch.equal(upsample(image, factors, "nearest"), functional.interpolate(image, scale_factor=scale))


def test_linear_upsampling_keeps_the_middle_of_a_ramp() -> None:
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    enlarged = upsample(ramp, (2, 2), "bilinear")
    torch.testing.assert_close(enlarged[0, 0, 3, 1:-1], torch.arange(14) / 2 + 0.25)


def memory_of(settings: Hourglass, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> int:
    meta = torch.device("meta")
    network = settings.build(inputs=4, outputs=1, shape=shape, device=meta)
    return training_memory(network, torch.empty(1, 4, *shape, device=meta, dtype=dtype))


def test_the_memory_of_training_grows_with_the_pixels_and_the_channels() -> None:
    small, large = memory_of(TINY, (64, 64)), memory_of(TINY, (256, 256))
    assert 12 < large / small < 16.5
    assert memory_of(Hourglass(channels=(16, 16), skip=(2, 2)), (256, 256)) > 1.5 * large
    # At least the 8 channels of the finest scale and the code, once.
    assert large > 256 * 256 * 4 * (8 + 4)


def test_half_precision_takes_less_memory() -> None:
    assert memory_of(TINY, (256, 256), torch.bfloat16) < 0.75 * memory_of(TINY, (256, 256))


def test_memory_of_an_image_larger_than_any_machine_is_counted_without_allocating() -> None:
    assert memory_of(TINY, (1_000_000, 1_000_000)) > 2**46
