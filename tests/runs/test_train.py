"""Training on one's own images: what they become, what is held out, what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_deep_prior import Denoise, SuperResolve, TrainingImage, TrainingSettings, train
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.networks import ENLARGING_AUTOENCODER, Autoencoder, UNet
from napari_deep_prior.runs.training_images import checked_images, split

QUICK = TrainingSettings(
    network=UNet(channels=(8, 8)), crop=16, examples=4, epochs=60, rate=0.01, precision="float32", validate=0.3
)
NAMES = ("a", "b", "c")


def pairs(side: int = 48) -> list[TrainingImage]:
    camera, random = Camera(), np.random.default_rng(0)
    photons = [cells((side, side), seed=seed) for seed in range(len(NAMES))]
    return [
        TrainingImage(name=name, pixels=camera.expose(each, random), axes="YX", clean=camera.expected(each))
        for name, each in zip(NAMES, photons, strict=True)
    ]


def noisy(side: int = 48) -> list[TrainingImage]:
    return [dataclasses.replace(image, clean=None) for image in pairs(side)]


def clean(side: int = 48) -> list[TrainingImage]:
    return [TrainingImage(name=image.name, pixels=image.clean, axes="YX") for image in pairs(side)]


@pytest.mark.parametrize(
    ("images", "task", "settings"),
    [
        (noisy, Denoise(gain=4.0, offset=100.0, sigma=6.0), QUICK),
        (pairs, Denoise(gain=4.0, offset=100.0, sigma=6.0), QUICK),
        (clean, Denoise(gain=4.0, offset=100.0, sigma=6.0), dataclasses.replace(QUICK, clean=True)),
        (clean, SuperResolve(), QUICK),
        (clean, SuperResolve(factor=2.5, sigma=1.0, blur="gaussian"), QUICK),
        (clean, SuperResolve(), dataclasses.replace(QUICK, network=ENLARGING_AUTOENCODER)),
    ],
    ids=["noisy", "pairs", "clean", "enlarge", "enlarge noisy", "autoencoder"],
)
def test_what_is_held_out_gets_better(images: object, task: object, settings: TrainingSettings) -> None:
    run = train(images(), task, settings, device="cpu")
    step = list(run)[-1]
    assert step.best is not None
    assert step.best.after.psnr > run.before.psnr + 1
    assert step.best.after.ssim > run.before.ssim
    assert run.model.training["psnr"] == step.best.after.psnr
    run.model.refuse_weights()


def test_training_on_restored_images_says_what_its_numbers_compare_with() -> None:
    run = train(noisy(), Denoise(gain=4.0, offset=100.0, sigma=6.0), QUICK, device="cpu")
    assert "not with the truth" in run.remarks[0]


def test_no_image_is_both_trained_on_and_held_out() -> None:
    images = [*noisy(), dataclasses.replace(noisy()[0], name="the same again")]
    checked = checked_images(images, QUICK)
    assert [image.name for image in checked] == ["a", "b", "c"]
    parts = split(checked, QUICK)
    assert len(parts.held_out) == 1
    assert {image.name for image in (*parts.training, *parts.held_out)} == {"a", "b", "c"}
    assert parts.held_out[0].name not in {image.name for image in parts.training}


def test_of_one_stack_a_part_of_every_plane_is_held_out() -> None:
    stack = TrainingImage(name="stack", pixels=np.random.default_rng(0).random((3, 40, 90)), axes="ZYX")
    parts = split([stack], QUICK)
    (training,), (held_out,) = parts.training, parts.held_out
    assert training.pixels.shape == (3, 40, 58)
    assert np.array_equal(np.concatenate([training.pixels, held_out.pixels], axis=2), stack.pixels)


def test_one_small_image_can_only_be_used_without_holding_out() -> None:
    with pytest.raises(ValueError, match=r"the only image, and 40 pixels along Y are too few .*--validate 0"):
        train(noisy(40)[:1], Denoise(), QUICK)
    run = train(noisy(40)[:1], Denoise(gain=4.0), dataclasses.replace(QUICK, validate=0.0, epochs=1), device="cpu")
    assert list(run)[-1].best is None


def test_a_training_goes_on_from_a_checkpoint() -> None:
    first = train(clean(), SuperResolve(), QUICK, device="cpu")
    last = list(first)[-1]
    second = train(clean(), SuperResolve(), QUICK, device="cpu", resume=first.checkpoint)
    step = next(second)
    assert step.number == last.number + 1
    assert second.model.training["psnr"] == pytest.approx(first.model.training["psnr"])
    with pytest.raises(ValueError, match=r"has factors \(2.0, 2.0\), and \(3.0, 3.0\) is asked for"):
        train(clean(), SuperResolve(factor=3), QUICK, device="cpu", resume=first.checkpoint)


def refusals() -> list[tuple[str, list[TrainingImage], str]]:
    first, second, third = noisy()
    grey = first.pixels
    pixels = [
        ("small", grey[:12], "fewer than a crop of 16: leave it out, or choose a crop of at most 12"),
        ("constant", np.full_like(grey, 7), "constant: every pixel is 7; leave it out"),
        ("incomplete", np.where(grey > 200, np.nan, grey), "are NaN or infinite: fill it first"),
        ("another type", grey.astype(np.uint8), "train on images of one kind"),
        ("complex", grey.astype(complex), "'complex' has pixels of type complex128: real numbers are needed"),
    ]
    found = [(name, [second, third, TrainingImage(name=name, pixels=each)], text) for name, each, text in pixels]
    colours = TrainingImage(name="colours", pixels=np.stack([grey] * 3, -1), axes="YXS")
    shifted = dataclasses.replace(first, clean=first.pixels[1:])
    return [
        *found,
        ("colours", [second, colours], "'colours' has 3 channels and 'b' 1 channel: train on images of one kind"),
        ("nothing", [], "there is no image to train on"),
        ("no noise", [dataclasses.replace(first, clean=first.pixels)], "is the same as the noisy one"),
        ("another size", [shifted], "both must show the same place with the same pixels"),
    ]


@pytest.mark.parametrize(("images", "text"), [each[1:] for each in refusals()], ids=[each[0] for each in refusals()])
def test_images_that_cannot_be_trained_on_are_refused(images: list[TrainingImage], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        train(images, Denoise(), QUICK, device="cpu")


def test_clean_images_are_refused_unless_their_noise_is_given() -> None:
    with pytest.raises(ValueError, match="no noise was found in"):
        train(clean(96), Denoise(), QUICK, device="cpu")
    with pytest.raises(ValueError, match=r"noise is to be drawn: give gain or sigma \(--gain, --sigma\)"):
        train(clean(), Denoise(), dataclasses.replace(QUICK, clean=True), device="cpu")


def test_correlated_noise_is_refused_without_clean_images() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(size=(257, 257))
    smooth = noise[1:, 1:] + noise[:-1, 1:] + noise[1:, :-1] + noise[:-1, :-1]
    image = 100 + 50 * np.hypot(*np.indices((256, 256)) / 256) + smooth
    with pytest.raises(ValueError, match="is correlated, and such noise is not drawn"):
        train([image.astype(np.float32)], Denoise(), QUICK, device="cpu")


def test_a_task_that_no_network_is_trained_for_is_refused() -> None:
    from napari_deep_prior import Inpaint

    with pytest.raises(ValueError, match="no network can be trained for 'inpaint': choose denoise or super-resolve"):
        train(noisy(), Inpaint(), QUICK, device="cpu")


def test_crops_that_are_small_for_the_network_are_named() -> None:
    small = dataclasses.replace(QUICK, network=UNet(channels=(4, 4, 4)), epochs=1)
    (remark,) = train(clean(96), SuperResolve(), small, device="cpu").remarks
    assert "coarsest pixels of the network are 8 pixels wide, and a crop of 16 has few of them" in remark
    assert "better are crops of 64" in remark
    (remark,) = train(clean(48), SuperResolve(), small, device="cpu").remarks
    assert "better are crops of 48" in remark


def test_an_autoencoder_whose_code_is_too_coarse_to_enlarge_is_named() -> None:
    coarse = dataclasses.replace(QUICK, network=Autoencoder(channels=(4, 4, 4), bottleneck=4), crop=48, epochs=1)
    remarks = train(clean(), SuperResolve(), coarse, device="cpu").remarks
    assert "a pixel of this autoencoder's code is 8 pixels wide, and finer detail does not pass it" in remarks[-1]
    fine = dataclasses.replace(coarse, network=ENLARGING_AUTOENCODER)
    for task, settings in ((SuperResolve(), fine), (Denoise(gain=4.0, offset=100.0, sigma=6.0), coarse)):
        remarks = train(noisy(), task, settings, device="cpu").remarks
        assert not any("autoencoder" in each for each in remarks)
