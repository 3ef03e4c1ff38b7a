from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_deep_prior import DeepImagePrior, Denoise, restore
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.networks import FCN8s, FCN16s, FCN32s, ResidualNetwork
from napari_deep_prior.networks.fcn import _BilinearTransposedConvolution
from napari_deep_prior.networks.network import initialise

from .building import built, code

CPU = torch.device("cpu")
every_fcn = pytest.mark.parametrize("kind", [FCN32s, FCN16s, FCN8s])


@pytest.mark.parametrize(
    ("shape", "factors"), [((3, 5), (2, 2)), ((4, 3), (8, 32)), ((3, 2, 4), (1, 4, 2)), ((1, 2, 2), (2, 16, 16))]
)
def test_the_transposed_convolution_starts_as_linear_interpolation(
    shape: tuple[int, ...], factors: tuple[int, ...]
) -> None:
    layer = _BilinearTransposedConvolution(3, factors, fitted=True)
    initialise(layer, torch.Generator().manual_seed(0), gain=3.0)
    mode = "bilinear" if len(shape) == 2 else "trilinear"
    scale = [float(factor) for factor in factors]
    interpolated = functional.interpolate(code(*shape), scale_factor=scale, mode=mode)
    torch.testing.assert_close(layer(code(*shape)).detach(), interpolated)


@every_fcn
def test_scores_are_those_of_the_published_scales(kind: type[ResidualNetwork]) -> None:
    module, sizes = built(kind(), (64, 96)), []
    for score in module.scores:
        score.register_forward_hook(lambda _layer, _inputs, output: sizes.append(64 // output.shape[2]))
    module(code(64, 96))
    assert sizes == {FCN32s: [32], FCN16s: [32, 16], FCN8s: [32, 16, 8]}[kind]


def test_widths_can_be_those_of_the_paper() -> None:
    module = FCN8s(width=64, dense=4096).build(inputs=3, outputs=21, shape=(32, 32), device=torch.device("meta"))
    blocks = [[len(layer.weight) for layer in block] for block in module.blocks]
    assert blocks == [[64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3]
    assert [tuple(layer.weight.shape[:2]) for layer in module.dense] == [(4096, 512), (4096, 4096)]
    assert [tuple(layer.weight.shape) for layer in module.up] == [(21, 21, 4, 4), (21, 21, 4, 4), (21, 21, 16, 16)]


@every_fcn
def test_nothing_finer_than_its_scores_comes_out(kind: type[ResidualNetwork]) -> None:
    side = kind.finest_scores
    module = built(kind(width=2, dense=8), (128, 128))
    image = module(code(128, 128)).detach()
    # Linear in between the centres of the finest scores.
    start = side // 2
    row = image[0, 0, 3, start : start + side]
    torch.testing.assert_close(row, torch.linspace(float(row[0]), float(row[-1]), side), atol=1e-6, rtol=0)
    assert float(image.std()) > 1e-4


@every_fcn
def test_only_upsampling_between_scores_is_fitted_and_only_if_asked_for(kind: type[ResidualNetwork]) -> None:
    image = Camera().expose(cells((40, 36)), np.random.default_rng(0))
    for fitted in (True, False):
        network = kind(width=2, dense=8, fit_upsampling=fitted)
        module = built(network, (40, 36))
        (module(code(40, 36)) - 1).square().sum().backward()
        assert all((layer.weight.grad is not None) == fitted for layer in module.up[:-1])
        assert module.up[-1].weight.grad is None
        method = DeepImagePrior(steps=3, network=network, precision="float32")
        assert restore(image, Denoise(), method, device="cpu").finish().shape == image.shape


@every_fcn
def test_the_output_depends_on_no_more_than_the_margin(kind: type[ResidualNetwork]) -> None:
    settings = kind(width=2, dense=8)
    margin, stride = settings.margin, settings.stride
    rows = 2 * margin + stride
    module, image = built(settings, (rows, 32)), code(rows, 32).requires_grad_()
    for row in (margin, margin + stride // 2, margin + stride - 1):
        (gradient,) = torch.autograd.grad(module(image)[..., row, :].sum(), image)
        reached = gradient.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
        assert reached.min() >= row - margin
        assert reached.max() <= row + margin
        assert reached.max() - reached.min() > margin


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (2, 1, 17), (1, 2, 3)])
@every_fcn
def test_pooling_is_never_deeper_than_the_image(kind: type[ResidualNetwork], shape: tuple[int, ...]) -> None:
    image = built(kind(), shape)(code(*shape))
    assert image.shape == (1, 2, *shape)
    assert torch.isfinite(image).all()


@pytest.mark.parametrize(("values", "message"), [({"width": 0}, "width is 0"), ({"dense": 9000}, "dense is 9000")])
def test_impossible_widths_are_refused(values: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(FCN8s(), **values)
