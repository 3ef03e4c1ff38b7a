from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_deep_prior import DeepImagePrior, Denoise, SelfDistillation, restore
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.networks import Autoencoder, EncoderDecoder, ResidualNetwork
from napari_deep_prior.networks.layers import halvings, pad_to_multiple
from napari_deep_prior.networks.network import initialise, training_memory
from napari_deep_prior.networks.resampling import Downscaling, Enlarging, Upscaling

from .building import built, code

CPU, META = torch.device("cpu"), torch.device("meta")
TINY = EncoderDecoder(channels=(4, 6), bottleneck=5)
UPSAMPLING = ("bilinear", "nearest", "transposed", "pixel-shuffle", "max-unpooling")
DOWNSAMPLING = ("max-pooling", "average-pooling", "strided")


# Layers between the scales


@pytest.mark.parametrize(("shape", "factors"), [((8, 6), (2, 2)), ((3, 4, 6), (1, 2, 2)), ((4, 4, 6), (2, 2, 2))])
def test_max_unpooling_puts_each_maximum_back_where_it_was(shape: tuple[int, ...], factors: tuple[int, ...]) -> None:
    image = code(*shape)
    pooled, places = Downscaling("max-pooling", 3, factors)(image)
    upscaling = Upscaling("max-unpooling", 3, 3, factors)
    with torch.no_grad():
        upscaling.convolution.bias.zero_()
        # A convolution that changes nothing.
        upscaling.convolution.weight.zero_()
        centre = (1,) * len(shape)
        for channel in range(3):
            upscaling.convolution.weight[(channel, channel, *centre)] = 1
        unpooled = upscaling(pooled, places)
    kept = unpooled != 0
    assert int(kept.sum()) == pooled.numel()
    torch.testing.assert_close(unpooled[kept], image[kept])


@pytest.mark.parametrize(("shape", "factors"), [((8, 6), (2, 2)), ((3, 4, 6), (1, 2, 2)), ((4, 4, 6), (2, 2, 2))])
def test_average_pooling_is_that_of_pytorch(shape: tuple[int, ...], factors: tuple[int, ...]) -> None:
    pool = functional.avg_pool2d if len(shape) == 2 else functional.avg_pool3d
    pooled, places = Downscaling("average-pooling", 3, factors)(code(*shape))
    torch.testing.assert_close(pooled, pool(code(*shape), factors))
    assert places is None


def test_pixel_shuffle_is_that_of_pytorch() -> None:
    upscaling = Upscaling("pixel-shuffle", 3, 4, (2, 2))
    with torch.no_grad():
        for parameter in upscaling.parameters():
            parameter.uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
    features = upscaling.convolution(code(3, 5))
    assert torch.equal(upscaling(code(3, 5), None), functional.pixel_shuffle(features, 2))


@pytest.mark.parametrize("upsampling", ["transposed", "pixel-shuffle"])
@pytest.mark.parametrize(("shape", "factors"), [((3, 5), (2, 2)), ((3, 4, 2), (1, 2, 2)), ((2, 3, 2), (2, 2, 2))])
def test_upsampling_that_is_fitted_can_start_with_equal_pixels_in_each_block(
    upsampling: Enlarging, shape: tuple[int, ...], factors: tuple[int, ...]
) -> None:
    upscaling = Upscaling(upsampling, 3, 4, factors)
    initialise(upscaling, torch.Generator().manual_seed(0))
    upscaling.start_with_equal_pixels()
    enlarged = upscaling(code(*shape), None).detach()
    assert enlarged.shape[1:] == (4, *(length * factor for length, factor in zip(shape, factors, strict=True)))
    first = enlarged[(..., *(slice(None, None, factor) for factor in factors))]
    torch.testing.assert_close(enlarged, functional.interpolate(first, scale_factor=[float(each) for each in factors]))
    assert float(first[0, 0].std()) > 0.01
    assert not torch.equal(first[0, 0], first[0, 1])


def test_no_axis_is_halved_below_one_pixel() -> None:
    assert halvings((9, 2, 1), 4) == [(2, 2, 1), (2, 1, 1), (2, 1, 1), (2, 1, 1)]
    padded = pad_to_multiple(code(5, 6), (8, 3))
    assert padded.shape[2:] == (8, 6)
    assert torch.equal(padded[:, :, :5], code(5, 6))
    assert torch.equal(padded[:, :, 5:], code(5, 6)[:, :, -1:].expand(-1, -1, 3, -1))


# Networks


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 1, 17), (1, 2, 3)])
def test_pooling_is_never_deeper_than_the_image(shape: tuple[int, ...]) -> None:
    image = built(EncoderDecoder(channels=(4,) * 8, bottleneck=4), shape, outputs=1)(code(*shape))
    assert image.shape == (1, 1, *shape)
    assert torch.isfinite(image).all()


@pytest.mark.parametrize(
    "settings",
    [
        *(
            dataclasses.replace(TINY, upsampling=up, downsampling=down)
            for up, down in itertools.product(UPSAMPLING, DOWNSAMPLING)
            if up != "max-unpooling" or down == "max-pooling"
        ),
        dataclasses.replace(TINY, dilation=(1, 3, 2)),
        dataclasses.replace(TINY, downsampling="none", dilation=(1, 2, 4)),
    ],
)
def test_the_output_depends_on_no_more_than_the_margin(settings: EncoderDecoder) -> None:
    margin, stride = settings.margin, settings.stride
    assert margin % stride == 0
    rows = 2 * margin + stride
    module, image = built(settings, (rows, 16), outputs=1), code(rows, 16).requires_grad_()
    for row in (margin, margin + stride - 1):
        (gradient,) = torch.autograd.grad(module(image)[..., row, :].sum(), image)
        reached = gradient.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
        assert reached.min() >= row - margin
        assert reached.max() <= row + margin
        # The margin is not far too large either.
        assert reached.max() - reached.min() > margin / 2


def test_of_an_even_image_the_border_is_drawn_like_the_middle() -> None:
    drawn = built(EncoderDecoder(channels=(4, 4), bottleneck=4), (16, 16))(torch.ones(1, 3, 16, 16))
    torch.testing.assert_close(drawn, drawn[..., 8:9, 8:9].expand_as(drawn))


def test_no_joining_sends_everything_through_the_bottleneck() -> None:
    for settings, through in ((Autoencoder(), True), (EncoderDecoder(joining="none"), True), (EncoderDecoder(), False)):
        module = built(settings, (16, 16), outputs=1)
        module.bottleneck.register_forward_hook(lambda _layer, _inputs, output: torch.zeros_like(output))
        first, second = module(code(16, 16)), module(code(16, 16).flip(-1))
        assert torch.equal(first, second) == through


def test_the_published_unet_is_a_setting() -> None:
    settings = EncoderDecoder(channels=(64, 128, 256, 512), bottleneck=1024, upsampling="transposed")
    module = settings.build(inputs=1, outputs=2, shape=(32, 32), device=META)
    # That of Ronneberger et al.: 23 convolutions, 31 million weights.
    assert sum(name.endswith("weight") for name, _parameter in module.named_parameters()) == 23
    assert sum(parameter.numel() for parameter in module.parameters()) == 31_030_658


@pytest.mark.parametrize("settings", [EncoderDecoder(), EncoderDecoder(joining="addition"), Autoencoder()])
@pytest.mark.parametrize("scales", [1, 4])
def test_features_of_deep_networks_do_not_vanish(settings: ResidualNetwork, scales: int) -> None:
    deep = dataclasses.replace(settings, channels=(16,) * scales, bottleneck=16)
    image = built(deep, (64, 64), outputs=1)(code(64, 64)).detach()
    assert 3e-4 < float(image.std()) < 0.1


def test_a_dilated_network_without_pooling_keeps_all_scales_at_full_size() -> None:
    settings = EncoderDecoder(channels=(4, 4, 4), bottleneck=4, downsampling="none", dilation=(1, 2, 4, 8))
    assert settings.stride == 1
    module, sizes = built(settings, (11, 13), outputs=1), []
    for layer in module.modules():
        layer.register_forward_hook(
            lambda _layer, _inputs, output: (
                sizes.append(tuple(output.shape[2:])) if isinstance(output, torch.Tensor) else None
            )
        )
    module(code(11, 13))
    assert set(sizes) == {(11, 13)}


# Bad settings


@pytest.mark.parametrize("kind", [EncoderDecoder, Autoencoder])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"channels": ()}, "channels is empty: give one number per scale"),
        ({"dilation": ()}, "has 0 numbers .* one per scale and one for the bottleneck"),
        ({"dilation": (1, 2)}, "has 2 numbers and channels .* has 3 scales: give one number for all, or 4"),
        ({"dilation": (0,)}, "dilation is .* must lie between 1 and 1024"),
        ({"upsampling": "max-unpooling", "downsampling": "strided"}, "needs to know where the maxima were"),
        ({"bottleneck": 0}, "bottleneck is 0"),
    ],
)
def test_impossible_settings_are_refused(kind: type[ResidualNetwork], values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (EncoderDecoder(dilation=(20,)), "dilation 20 is larger than the image, which has 20 x 30 pixels at that"),
        (EncoderDecoder(dilation=(1, 4, 7, 1)), "dilation 7 .* which has 5 x 8 pixels .*: choose at most 4 there"),
        (EncoderDecoder(downsampling="none", dilation=(1, 2, 4, 32)), "dilation 32 .* 20 x 30 pixels"),
    ],
)
def test_a_dilation_larger_than_the_image_is_refused_before_the_run(settings: EncoderDecoder, message: str) -> None:
    image = cells((20, 30))
    with pytest.raises(ValueError, match=message):
        restore(image, Denoise(), DeepImagePrior(network=settings, steps=2), device="cpu").finish()


# As a prior, and in training


def test_volumes_are_corrected_plane_by_plane() -> None:
    image = Camera().expose(cells((4, 20, 22)), np.random.default_rng(0))
    method = SelfDistillation(steps=2, crop=16, network=TINY, precision="float32")
    run = restore(image, Denoise(), method, axes="ZYX", volume=True, device="cpu")
    assert run.finish().shape == image.shape


def test_half_precision_takes_less_memory() -> None:
    counted = []
    for dtype in (torch.float32, torch.bfloat16):
        module = EncoderDecoder().build(inputs=3, outputs=1, shape=(64, 64), device=META)
        counted.append(training_memory(module, torch.empty(1, 3, 64, 64, device=META, dtype=dtype)))
    assert counted[1] < 0.75 * counted[0]
