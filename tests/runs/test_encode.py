"""The code of an image: of which network, where its pixels lie, what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.networks import RESIDUAL_NETWORKS, Autoencoder
from napari_deep_prior.runs import encode as module
from napari_deep_prior.runs.encode import encode

from ..models import tiny_model, trained_model

SMALL = Autoencoder(channels=(8, 8), bottleneck=4)


@pytest.fixture
def image() -> np.ndarray:
    return Camera().expose(cells((40, 46), seed=1), np.random.default_rng(0))


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEPS", 30)


def test_without_a_model_a_network_is_trained_on_the_image(image: np.ndarray) -> None:
    code = encode(image, network=SMALL, device="cpu")
    assert code.pixels.shape == (4, 10, 12)
    assert code.axes == "CYX"
    assert code.factors == {"Y": 0.25, "X": 0.25}
    assert (code.colours.shape, code.colours.dtype, code.colour_axes) == ((10, 12, 3), np.uint8, "YXS")
    assert code.model.network == SMALL
    assert code.model.settings["training"]["correction"] is False
    assert code.pixels.std(axis=(1, 2)).max() > 0
    assert 0 < sum(code.shares) <= 1 + 1e-6
    np.testing.assert_array_equal(encode(image, network=SMALL, device="cpu").pixels, code.pixels)


def test_the_same_place_has_the_same_code_wherever_it_is(image: np.ndarray) -> None:
    tiled = np.tile(image[:, :40], (3, 3))
    code = encode(tiled, trained_model(enlarges=False), device="cpu").pixels
    step, border = code.shape[1] // 3, 7
    # The network sees that there is a border, but not from afar.
    one, other = (code[:, step : 2 * step, start + border : start + step] for start in (0, step))
    np.testing.assert_allclose(one, other, atol=0.02 * code.std())
    assert one.std() > 0.1 * code.std()


@pytest.mark.parametrize("name", RESIDUAL_NETWORKS)
def test_every_network_that_is_trained_has_a_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEPS", 1)
    image = cells((64, 70), seed=0)
    code = encode(image, network=name, device="cpu")
    stride = RESIDUAL_NETWORKS[name]().stride
    assert code.pixels.shape[1:] == (-(-64 // stride), -(-70 // stride))
    assert code.factors["Y"] == 1 / stride


def test_planes_of_a_stack_are_encoded_one_by_one_and_channels_one_after_another(image: np.ndarray) -> None:
    model = trained_model(enlarges=False)
    stack = np.stack([image, image[::-1], image])
    code = encode(stack, model, axes="ZYX", device="cpu")
    assert code.axes == "ZCYX"
    assert code.colours.shape == (3, *code.pixels.shape[-2:], 3)
    np.testing.assert_array_equal(code.pixels[0], code.pixels[2])
    two = encode(stack[:2], model, axes="CYX", device="cpu")
    assert two.pixels.shape[0] == 2 * code.pixels.shape[1]


def test_a_constant_plane_of_a_stack_is_encoded_as_a_plane_on_which_there_is_nothing(image: np.ndarray) -> None:
    stack = np.stack([np.full_like(image, 100), image])
    code = encode(stack, trained_model(enlarges=False), device="cpu").pixels
    alone = encode(image, trained_model(enlarges=False), device="cpu").pixels
    assert np.isfinite(code).all()
    assert code[0, :, 2:-2, 2:-2].std(axis=(1, 2)).max() < 0.01 * alone.std()
    # The noise is that of both planes.
    np.testing.assert_allclose(code[1], alone, atol=0.1 * alone.std())
    with pytest.raises(ValueError, match="the image is constant"):
        encode(stack[:1], trained_model(enlarges=False), device="cpu")


def test_the_code_of_a_network_that_enlarges_lies_on_the_enlarged_image(image: np.ndarray) -> None:
    code = encode(image.astype(np.float32), trained_model(enlarges=True), device="cpu")
    # Two scales of a U-Net: four pixels of the enlarged image, which has twice as many.
    assert code.factors == {"Y": 0.5, "X": 0.5}
    assert code.pixels.shape[1:] == (20, 23)


@pytest.mark.parametrize(
    ("factor", "words"), [(1.0, "as wide as one of the image"), (0.25, "4 pixels of the image wide")]
)
def test_the_width_of_a_pixel_of_the_code_is_said(image: np.ndarray, factor: float, words: str) -> None:
    code = encode(image, tiny_model())
    assert words in dataclasses.replace(code, factors={"Y": factor, "X": factor}).in_words()


def test_an_image_without_noise_is_encoded_by_a_network_for_noisy_ones() -> None:
    code = encode(cells((64, 64), seed=3), trained_model(enlarges=False), device="cpu")
    assert np.isfinite(code.pixels).all()
    assert code.pixels.std() > 0


@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        (lambda image: np.where(image > 200, np.nan, image), {}, "NaN or infinite"),
        (np.ones_like, {}, "constant"),
        (lambda image: image[:5], {}, "too few to train a network on"),
        (lambda image: image, {"network": "vgg"}, "network is 'vgg'; one of unet"),
        (
            lambda image: np.where(image > 200, np.nan, image),
            {"model": tiny_model()},
            "are NaN or infinite: fill them first, or replace them$",
        ),
        (lambda image: image, {"model": tiny_model(channels=3)}, "trained on images of 3 channels, and this one has 1"),
        (
            lambda image: image,
            {"model": dataclasses.replace(tiny_model(), shape=(4, 16, 16))},
            "the network was trained on volumes",
        ),
    ],
    ids=["missing", "constant", "small", "no network", "missing for a model", "channels", "volumes"],
)
def test_what_has_no_code_is_refused(
    image: np.ndarray, change: object, arguments: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        encode(change(image.astype(float)), device="cpu", **({"network": SMALL} | arguments))
