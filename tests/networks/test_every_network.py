"""What holds for every network."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from collections.abc import Iterator

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from napari_deep_prior import Denoise, Inpaint, SuperResolve, restore
from napari_deep_prior.arrays.metrics import psnr
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.methods import DeepImagePrior, SelfDistillation, ZeroShotSR
from napari_deep_prior.networks import (
    NETWORKS,
    RESIDUAL_NETWORKS,
    EncoderDecoder,
    FCN16s,
    FCN32s,
    Network,
    ResidualNetwork,
)
from napari_deep_prior.networks.network import training_memory
from napari_deep_prior.settings import fields, replace_flat

from .building import built, code

CPU, META = torch.device("cpu"), torch.device("meta")
SMALL = {"channels": (8, 16), "skip": (2, 2), "bottleneck": 16, "width": 2, "dense": 8}


def small(kind: type[Network]) -> Network:
    return replace_flat(kind(), SMALL)


def variants() -> Iterator[Network]:
    """Yield small networks with every combination of choices that they allow."""
    for kind in NETWORKS.values():
        choices = {each.name: each.choices for each in fields(kind) if each.choices}
        for chosen in itertools.product(*choices.values()):
            values = dict(zip(choices, chosen, strict=True))
            # The one combination that is refused: unpooling needs the places of the maxima.
            if values.get("upsampling") != "max-unpooling" or values["downsampling"] == "max-pooling":
                yield dataclasses.replace(small(kind), **values)


def name(network: Network) -> str:
    chosen = [getattr(network, each.name) for each in fields(type(network)) if each.choices]
    return "-".join([type(network).__name__, *chosen])


every_network = pytest.mark.parametrize("kind", NETWORKS.values(), ids=NETWORKS.keys())
every_residual_network = pytest.mark.parametrize("kind", RESIDUAL_NETWORKS.values(), ids=RESIDUAL_NETWORKS.keys())
plane_and_volume = pytest.mark.parametrize("shape", [(9, 14), (4, 9, 14)])


def test_networks_are_final_and_their_names_differ() -> None:
    assert len({kind.__name__ for kind in NETWORKS.values()}) == len(NETWORKS)
    assert not any(inspect.isabstract(kind) or kind.__subclasses__() for kind in NETWORKS.values())
    assert {"unet", "plain"} <= set(RESIDUAL_NETWORKS) < set(NETWORKS)


@every_network
@hypothesis.settings(max_examples=15, deadline=None)
@hypothesis.given(data=st.data())
def test_any_size_goes_in_and_the_same_size_comes_out(kind: type[Network], data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(kind.smallest_side, 21), min_size=2, max_size=3)))
    network = kind() if data.draw(st.booleans()) else small(kind)
    image = built(network, shape)(code(*shape))
    assert image.shape == (1, 2, *shape)
    assert image.dtype == torch.float32
    assert torch.isfinite(image).all()


@pytest.mark.parametrize("network", list(variants()), ids=name)
def test_every_choice_keeps_the_size_reaches_every_weight_and_repeats_with_the_seed(network: Network) -> None:
    for shape in ((7, 10), (2, 5, 6)):
        module, same, other = (built(network, shape, seed=seed) for seed in (3, 3, 4))
        image = module(code(*shape))
        assert image.shape == (1, 2, *shape)
        assert torch.equal(image, same(code(*shape)))
        assert not torch.equal(image, other(code(*shape)))
        (image * torch.rand(1, 2, *shape, generator=torch.Generator().manual_seed(2))).sum().backward()
        for weight, parameter in module.named_parameters():
            assert parameter.grad is not None, weight
            assert parameter.grad.abs().sum() > 0, weight


@every_network
def test_weights_depend_on_the_seed_alone_and_leave_the_random_numbers_of_torch_alone(kind: type[Network]) -> None:
    before = torch.get_rng_state()
    first, same, other = (
        torch.cat([weight.flatten() for weight in built(kind(), (8, 8), seed=seed).parameters()]) for seed in (5, 5, 6)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


@plane_and_volume
@every_network
def test_the_gradient_reaches_every_weight(kind: type[Network], shape: tuple[int, ...]) -> None:
    module = built(kind(), shape)
    target = torch.rand(1, 2, *shape, generator=torch.Generator().manual_seed(2))
    (module(code(*shape)) * target).sum().backward()
    assert len(list(module.parameters())) >= 6
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@plane_and_volume
@every_network
def test_the_untrained_output_can_be_set_for_each_channel(
    kind: type[Network], shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    network = kind()
    module = built(network, shape)
    before = module(code(*shape).to(dtype))
    network.start_at(module, torch.tensor([0.25, 0.75]))
    after = module(code(*shape).to(dtype))
    medians = after.flatten(2).median(dim=2).values[0]
    torch.testing.assert_close(medians, torch.tensor([0.25, 0.75]), atol=0.15, rtol=0)
    assert not torch.equal(before, after)


@every_network
def test_the_image_is_single_precision_even_when_the_layers_are_not(kind: type[Network]) -> None:
    module = built(kind(), (16, 16))
    image = module(code(16, 16).to(torch.bfloat16))
    assert image.dtype == torch.float32
    exact = module(code(16, 16))
    torch.testing.assert_close(image, exact, atol=0.1 * float(exact.detach().abs().max()), rtol=0)


@plane_and_volume
@every_network
def test_memory_is_counted_without_allocating_and_grows_with_the_pixels(
    kind: type[Network], shape: tuple[int, ...]
) -> None:
    counted = []
    for factor in (30_000, 60_000):
        larger = (*shape[:-2], 32, factor)
        module = kind().build(inputs=3, outputs=2, shape=larger, device=META)
        counted.append(training_memory(module, torch.empty(1, 3, *larger, device=META)))
    assert counted[0] > 4 * 3 * 32 * 30_000
    assert counted[1] == pytest.approx(2 * counted[0], rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(37, 30), (2, 17, 20)])
@every_network
def test_every_network_works_as_the_deep_image_prior(kind: type[Network], shape: tuple[int, ...]) -> None:
    truth, noisy = Camera().expected(cells(shape)), Camera().expose(cells(shape), np.random.default_rng(0))
    network = replace_flat(kind(), {"channels": (16, 24), "skip": (4, 4), "bottleneck": 24, "width": 4, "dense": 16})
    method = DeepImagePrior(steps=150, network=network, precision="float32")
    volume = len(shape) == 3
    run = restore(
        noisy, Denoise(), method, axes="ZYX" if volume else "YX", volume=volume, device="cpu", dtype="float32"
    )
    restored = run.finish()
    assert restored.shape == shape
    if kind.__name__.startswith("FCN"):
        # Weak priors, on images hardly wider than their stride: they draw more than the mean, but lose fine detail.
        assert psnr(restored, truth) > psnr(np.full_like(truth, truth.mean()), truth) + 0.3
        return
    assert psnr(restored, truth) > psnr(noisy.astype(np.float32), truth) + 2


# Residual networks


@plane_and_volume
@every_residual_network
def test_the_correction_of_an_untrained_residual_network_is_small(
    kind: type[ResidualNetwork], shape: tuple[int, ...]
) -> None:
    correction = built(kind(), shape)(code(*shape)).detach()
    # A tenth of the input, give or take what random weights do.
    assert 0 < float(correction.square().mean().sqrt()) < 0.2


@every_residual_network
def test_residual_networks_correct_each_image_of_a_batch_by_itself(kind: type[ResidualNetwork]) -> None:
    module = built(kind(), (16, 24))
    images = code(16, 24, number=3)
    torch.testing.assert_close(module(images)[1:2], module(images[1:2]), rtol=1e-4, atol=1e-6)


@every_residual_network
def test_a_part_with_its_margin_is_corrected_as_in_the_whole_image(kind: type[ResidualNetwork]) -> None:
    network = small(kind)
    assert network.margin % network.stride == 0
    rows = 4 * network.margin
    module, image = built(network, (rows, 16)), code(rows, 16)
    whole = module(image)
    start = network.margin + network.stride
    part = module(image[..., start - network.margin : start + network.stride + network.margin, :])
    inside = slice(network.margin, network.margin + network.stride)
    torch.testing.assert_close(
        part[..., inside, :], whole[..., start : start + network.stride, :], rtol=1e-4, atol=1e-7
    )


@every_residual_network
def test_residual_networks_can_be_trained_by_self_distillation_and_for_super_resolution(
    kind: type[ResidualNetwork], noisy: np.ndarray
) -> None:
    quick = {"steps": 2, "crop": 16, "precision": "float32", "patches": False, "denoising": "no"}
    for task, method in ((Denoise(), SelfDistillation()), (SuperResolve(), ZeroShotSR())):
        chosen = dataclasses.replace(replace_flat(method, quick), network=small(kind))
        run = restore(noisy[:20, :22], task, chosen, device="cpu")
        assert run.finish().shape == run.shape
        assert type(run.record.method.network).__name__ == kind.__name__


@pytest.mark.parametrize(
    "network",
    [
        *(small(kind) for kind in NETWORKS.values()),
        EncoderDecoder(channels=(4, 6), bottleneck=5, upsampling="max-unpooling"),
    ],
    ids=name,
)
def test_all_tasks_run_with_every_network_in_planes_and_volumes_of_odd_sizes(network: Network) -> None:
    method = DeepImagePrior(steps=2, network=network, code_channels=2)
    mask = np.zeros((3, 9, 11), bool)
    mask[:, 3:5, 4] = True
    image = Camera().expose(cells((3, 9, 11)), np.random.default_rng(0))
    for task, given, size in (
        (Denoise(), {}, (9, 11)),
        (Inpaint(), {"mask": mask}, (9, 11)),
        (SuperResolve(), {}, (18, 22)),
    ):
        plane = {name: each[0] for name, each in given.items()}
        for axes, run in (
            ("YX", restore(image[0], task, method, device="cpu", dtype="float32", **plane)),
            ("ZYX", restore(image, task, method, axes="ZYX", volume=True, device="cpu", dtype="float32", **given)),
        ):
            restored = run.finish()
            assert restored.shape == ((3, *size) if axes == "ZYX" else size)
            # Of an image as narrow as a pixel of their scores these draw the mean.
            assert np.ptp(restored) > 0 or isinstance(network, FCN16s | FCN32s)
            assert run.record.method == method
