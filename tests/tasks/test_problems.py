"""The problem that each task poses: what was measured, by which operator, with which noise, and what is said of it."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import data

from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.arrays.pieces import plan
from napari_deep_prior.estimation.channels import GivenNoise
from napari_deep_prior.physics.jpeg import JpegTables, tables_of_quality
from napari_deep_prior.physics.kernels import Area, Bicubic, GaussianKernel, Kernel, Lanczos2, SampledKernel
from napari_deep_prior.physics.misfit import GaussianMisfit
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.operators import Identity
from napari_deep_prior.physics.photon_misfits import AnscombeMisfit, PoissonMisfit
from napari_deep_prior.physics.quantised_misfit import QuantisedMisfit
from napari_deep_prior.runs.source import SourceArray
from napari_deep_prior.tasks import Denoise, Guided, Inpaint, RemoveArtifacts, SuperResolve, Task
from napari_deep_prior.tasks.inputs import INPUTS, Inputs, Target, check_inputs
from napari_deep_prior.tasks.super_resolve import isotropic
from napari_deep_prior.tasks.task import Measured, Posed, Prepared

CPU = torch.device("cpu")
PHOTONS = NoiseModel(gain=2.0, offset=0.0, read_noise=3.0)
IMAGE = np.random.default_rng(0).integers(20, 200, (12, 14)).astype(np.uint8)

QUALITY = "taken for a JPEG of quality 30"
BY_FILE = "the file says how coarsely it was rounded"
BY_IMAGE = "how coarsely it was rounded was found in the image"
NO_TRACE = "neither a file nor the image shows how it was compressed"
HOLES = "pixels are missing, and the blocks of a JPEG need all of them"


def measured(image: np.ndarray, axes: str = "YX", *, volume: bool = False, number: int = 0) -> Measured:
    """Return a piece of an image; NaN is missing."""
    piece = plan(image.shape, axes, volume=volume)[number]
    return SourceArray(image, axes, volume=volume, mask=None).measured(piece, device=CPU, missing="fill")[1]


def given(image: np.ndarray, axes: str, task: Task, values: dict[str, Any]) -> Inputs:
    """Return inputs that were checked against an image."""
    factor = task.factor if isinstance(task, SuperResolve) else 1
    enlarged = tuple(
        int(length * factor) if letter in "YX" else length for letter, length in zip(axes, image.shape, strict=True)
    )
    assert set(values) <= set(INPUTS)
    return check_inputs(values, Target(axes, image.shape, enlarged))


def posed(
    task: Task, image: np.ndarray = IMAGE, axes: str = "YX", *, noise: tuple[NoiseModel, ...] = (), **values: Any
) -> Posed:
    """Return the problem of a plane."""
    piece, inputs = measured(image, axes), given(image, axes, task, values)
    return task.problem(piece, task.prepare(piece, noise, inputs), inputs)


# Every task


@pytest.mark.parametrize("task", [Denoise(), Inpaint(), Guided(), SuperResolve(), RemoveArtifacts(quality=30)])
def test_the_problem_has_what_was_measured_its_weight_and_the_number_of_the_piece(task: Task) -> None:
    stack = np.stack([IMAGE, IMAGE[::-1]]).astype(np.float32)
    if not isinstance(task, RemoveArtifacts):
        stack[1, 3, 4] = np.nan
    first, second = (measured(stack, "TYX", number=number) for number in (0, 1))
    prepared = task.prepare(first, (), Inputs())
    problem = task.problem(second, prepared, Inputs()).problem
    assert problem.measured is second.values
    assert problem.weight is second.weight
    assert problem.operator is prepared.operator
    assert problem.piece == 1
    assert problem.guide is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [("auto", AnscombeMisfit), ("anscombe", AnscombeMisfit), ("poisson", PoissonMisfit), ("gaussian", GaussianMisfit)],
)
@pytest.mark.parametrize("task", [Denoise, Inpaint, Guided, SuperResolve, RemoveArtifacts])
def test_the_setting_names_the_misfit(task: type[Task], name: str, kind: type) -> None:
    found = posed(task(noise=name), noise=(PHOTONS,))
    assert type(found.problem.misfit) is kind
    assert found.misfit == ("anscombe" if name == "auto" else name)


@pytest.mark.parametrize("task", [Denoise(), Inpaint(), Guided(), SuperResolve(), RemoveArtifacts()])
def test_without_known_noise_the_misfit_is_a_plain_gaussian_one(task: Task) -> None:
    found = posed(task)
    assert found.problem.misfit == GaussianMisfit()
    assert found.problem.correlation_length == 1


@pytest.mark.parametrize("task", [Denoise(), Inpaint(), Guided(), SuperResolve(), RemoveArtifacts()])
def test_correlated_noise_reaches_the_problem(task: Task) -> None:
    noise = NoiseModel(read_noise=3.0, correlation=(0.1, 0.3))
    assert posed(task, noise=(noise,)).problem.correlation_length == 3


def test_a_channel_without_noise_spoils_nothing() -> None:
    image = np.stack([IMAGE, np.full_like(IMAGE, 7)])
    found = posed(Denoise(), image, "CYX", noise=(PHOTONS, NoiseModel(reliable=False, reasons=("it is empty",))))
    assert found.misfit == "anscombe"
    values = found.problem.measured
    assert torch.isfinite(found.problem.misfit.pointwise(values, values)).all()


def test_what_a_person_says_of_the_noise_is_handed_on() -> None:
    task = Denoise(gain=2.0, offset=3.0, sigma=4.0)
    assert task.given_noise == GivenNoise(gain=2.0, offset=3.0, sigma=4.0)


def test_only_filling_keeps_known_pixels_and_only_on_request() -> None:
    assert [task.keeps_known for task in (Inpaint(), Inpaint(keep_known=False))] == [True, False]
    assert not any(task.keeps_known for task in (Denoise(), Guided(), SuperResolve(), RemoveArtifacts()))
    assert (Inpaint().missing, Denoise().missing) == ("fill", "refuse")


# Guides


@pytest.mark.parametrize("task", [Denoise(), Inpaint(), Guided(), SuperResolve()])
def test_a_guide_lies_on_the_pixels_of_the_image(task: Task) -> None:
    image = gaussian_filter(np.random.default_rng(1).random((32, 36)), 2)
    guide = 3 - gaussian_filter(image, 1) + np.random.default_rng(2).normal(0, 0.01, image.shape)
    found = posed(task, image, guide=guide)
    assert found.problem.guide.shape == (1, 1, *found.problem.operator.image_shape((32, 36)))
    assert float(found.problem.guide.mean()) == pytest.approx(0, abs=1e-3)
    assert found.guide_remark.startswith("guide ")


def test_a_guide_is_moved_unless_that_is_not_wanted() -> None:
    image = gaussian_filter(np.random.default_rng(1).random((48, 48)), 2)
    guide = np.roll(3 - image, (0, 3), axis=(0, 1)) + np.random.default_rng(2).normal(0, 0.001, image.shape)
    moved, left = (posed(Guided(register=register), image, guide=guide) for register in (True, False))
    assert moved.guide_remark.startswith("guide moved by (")
    assert left.guide_remark == ""
    assert not torch.equal(moved.problem.guide, left.problem.guide)


# Enlarging


@pytest.mark.parametrize(
    ("blur", "kernel"),
    [
        ("bicubic", Bicubic()),
        ("lanczos", Lanczos2()),
        ("area", Area()),
        ("gaussian", GaussianKernel((1.7, 1.7))),
        ("estimated", Bicubic()),
    ],
)
def test_the_setting_names_the_blur(blur: str, kernel: Kernel) -> None:
    task = SuperResolve(factor=3, blur=blur, blur_width=1.7)
    operator = task.operator("YX", None)
    assert operator.kernel == kernel
    assert operator.factors == (3, 3)


def test_a_blur_that_is_given_counts_more_than_the_setting() -> None:
    kernel = SampledKernel(np.ones((3, 3)))
    task = SuperResolve(blur="estimated")
    assert task.operator("YX", kernel).kernel is kernel
    found = posed(task, kernel=kernel)
    assert found.problem.operator.kernel is kernel


@pytest.mark.parametrize(
    ("task", "axes", "message"),
    [
        (SuperResolve(z_factor=2), "YX", "the factor in Z is 2, but a plane has no depth: restore as one volume"),
        (SuperResolve(factor=1), "YX", "the factors are all 1: nothing would be enlarged"),
        (SuperResolve(factor=1), "ZYX", "the factors are all 1: nothing would be enlarged"),
    ],
)
def test_factors_that_enlarge_nothing_are_refused(task: SuperResolve, axes: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task.operator(axes, None)


def test_the_factors_follow_the_order_of_the_axes() -> None:
    task = SuperResolve(factor=2, z_factor=3)
    assert task.operator("ZYX", None).factors == (3, 2, 2)
    assert task.operator("YXZ", None).factors == (2, 2, 3)


def soft_scene() -> np.ndarray:
    """Return cells that were blurred before every other pixel was taken."""
    scene = Camera().expected(cells((128, 128), seed=1))
    return gaussian_filter(scene, 2.5)[::2, ::2].astype(np.uint16)


def prepared(task: SuperResolve, image: np.ndarray, axes: str = "YX") -> Prepared:
    return task.prepare(measured(image, axes, volume="Z" in axes), (), Inputs())


def test_the_blur_is_estimated_once_and_a_remark_says_what_it_is() -> None:
    found = prepared(SuperResolve(blur="estimated"), soft_scene())
    assert found.operator.kernel != Bicubic()
    assert found.remarks[-1].startswith("the blur is about ")


def test_a_blur_that_cannot_be_estimated_is_taken_for_bicubic_and_a_remark_says_why() -> None:
    found = prepared(SuperResolve(blur="estimated"), IMAGE)
    assert found.operator.kernel == Bicubic()
    assert "12 pixels along a side" in found.remarks[-1]
    assert found.remarks[-1].endswith("the bicubic kernel is used")
    volume = prepared(SuperResolve(blur="estimated"), np.stack([IMAGE, IMAGE[::-1]]), "ZYX")
    assert volume.remarks[-1] == "the blur of a volume cannot be estimated; the bicubic kernel is taken"


def test_an_image_whose_pixels_are_smaller_than_its_detail_is_remarked_upon(rng: np.random.Generator) -> None:
    soft = gaussian_filter(rng.normal(size=(96, 96)), 4)
    soft += rng.normal(0, 0.002 * soft.std(), soft.shape)
    (remark,) = prepared(SuperResolve(), soft).remarks
    assert remark.endswith("of what its pixels could show: enlarging it adds nothing")
    assert prepared(SuperResolve(), rng.normal(size=(96, 96))).remarks == ()
    # Of a volume whose planes stay as they are, nothing is said of their detail.
    deeper = prepared(SuperResolve(factor=1, z_factor=2), np.stack([soft, soft]), "ZYX")
    assert [words for words in deeper.remarks if "adds nothing" in words] == []


def test_planes_that_were_not_measured_are_remarked_upon() -> None:
    stack = np.stack([IMAGE, IMAGE[::-1], IMAGE[:, ::-1]])
    assert any(
        "planes were interpolated" in words for words in prepared(SuperResolve(z_factor=2), stack, "ZYX").remarks
    )
    assert not any("planes were interpolated" in words for words in prepared(SuperResolve(), stack, "ZYX").remarks)


@pytest.mark.parametrize("samples", [2, 4])
def test_opacity_becomes_as_large_as_the_result_and_stays_in_its_range(samples: int) -> None:
    opacity = np.where(np.arange(14) < 7, 0, 250).astype(np.uint8) * np.ones((12, 1), np.uint8)
    image = np.dstack([*[IMAGE // (part + 1) for part in range(samples - 1)], opacity])
    found = posed(SuperResolve(), image, "YXS")
    alpha = found.frame.alpha
    assert alpha.shape == (24, 28)
    assert (alpha.min(), alpha.max()) == (0, 250)
    assert (alpha[:, :10] == 0).all()
    assert found.frame.to_image(torch.zeros(1, samples - 1, 24, 28)).shape == (24, 28, samples)
    # Where nothing is enlarged it stays.
    np.testing.assert_array_equal(posed(Denoise(), image, "YXS").frame.alpha, opacity)


@pytest.mark.parametrize(
    ("spacing", "z_factor"), [({"Z": 0.6, "Y": 0.2, "X": 0.2}, 3), ({"Z": 0.3, "Y": 0.2, "X": 0.201}, 0.3 / 0.201)]
)
def test_voxels_become_cubes_by_more_planes(spacing: dict[str, float], z_factor: float) -> None:
    task = isotropic(SuperResolve(blur="area"), spacing)
    assert (task.factor, task.z_factor, task.blur) == (1, pytest.approx(z_factor), "area")


@pytest.mark.parametrize(
    ("spacing", "message"),
    [
        ({"Z": 0.6, "Y": 0.2}, "the size of a voxel along X is not known: say how large it is"),
        ({"X": 0.2}, "the size of a voxel along Z and Y is not known"),
        ({"Z": 0.0, "Y": 0.2, "X": 0.2}, "the size of a voxel along Z is not known"),
        ({"Z": 0.6, "Y": 0.2, "X": 0.3}, "the pixels are 0.2 × 0.3, no squares: enlarge the planes first"),
        ({"Z": 0.2, "Y": 0.2, "X": 0.2}, "the planes are 0.2 apart and the pixels 0.2 wide: nothing is to be enlarged"),
        ({"Z": 9.0, "Y": 0.2, "X": 0.2}, "z_factor is 45.*; it must lie between 1 and 16"),
    ],
)
def test_voxels_that_cannot_become_cubes_are_refused(spacing: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        isotropic(SuperResolve(), spacing)


# JPEGs


MAN = data.camera()[100:148, 190:246]
WOMAN = data.astronaut()[80:128, 190:238]


def decoded(image: np.ndarray, quality: int = 30) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(image).save(file, format="JPEG", quality=quality)
    return np.asarray(Image.open(file))


def tables(found: Posed) -> list[list[float]]:
    misfit = found.problem.misfit
    assert isinstance(misfit, QuantisedMisfit)
    return [steps.flatten().tolist() for steps in misfit.cosine.steps]


def steps_of(expected: JpegTables) -> list[list[float]]:
    channels = (expected.luminance, expected.chrominance, expected.chrominance)
    return [[float(step) for row in table for step in row] for table in channels if table is not None]


@pytest.mark.parametrize(("image", "axes"), [(MAN, "YX"), (WOMAN, "YXS")], ids=["grey", "colour"])
def test_tables_that_are_given_found_or_of_a_quality_pose_the_same_problem(image: np.ndarray, axes: str) -> None:
    jpeg, known = decoded(image), tables_of_quality(30, colour=image.ndim == 3)
    by_file = posed(RemoveArtifacts(), jpeg, axes, jpeg=known)
    by_image = posed(RemoveArtifacts(), jpeg, axes)
    by_quality = posed(RemoveArtifacts(quality=30), jpeg, axes)
    assert [found.remarks for found in (by_file, by_image, by_quality)] == [(BY_FILE,), (BY_IMAGE,), (QUALITY,)]
    for found in (by_file, by_image, by_quality):
        assert found.misfit == "quantised"
        assert tables(found) == steps_of(known)


def test_a_quality_that_is_given_counts_more_than_the_tables_of_the_file() -> None:
    found = posed(RemoveArtifacts(quality=30), decoded(MAN, 80), jpeg=tables_of_quality(80, colour=False))
    assert found.remarks == (QUALITY,)
    assert tables(found) == steps_of(tables_of_quality(30, colour=False))


@pytest.mark.parametrize(
    ("image", "axes"),
    [
        (MAN, "YX"),
        (decoded(MAN).astype(np.float32) / 255 - 4, "YX"),
        (decoded(MAN).astype(np.uint16) * 16, "YX"),
        (np.stack([decoded(MAN), decoded(MAN[::-1])]), "CYX"),
    ],
    ids=["never compressed", "negative", "sixteen bits", "two channels"],
)
def test_an_image_without_a_trace_of_compression_poses_the_problem_of_denoising(image: np.ndarray, axes: str) -> None:
    found = posed(RemoveArtifacts(), image, axes, noise=(PHOTONS,) * (2 if axes == "CYX" else 1))
    assert found.remarks == (NO_TRACE,)
    assert type(found.problem.misfit) is AnscombeMisfit
    assert isinstance(found.problem.operator, Identity)


@pytest.mark.parametrize("quality", [None, 30])
def test_with_missing_pixels_the_rounding_is_not_used(quality: int | None) -> None:
    holes = decoded(MAN).astype(np.float32)
    holes[3, 4:6] = np.nan
    found = posed(RemoveArtifacts(quality=quality), holes, jpeg=tables_of_quality(30, colour=False))
    assert found.remarks == (HOLES,)
    assert found.misfit == "gaussian"


def test_opacity_is_no_part_of_a_jpeg() -> None:
    image = np.dstack([decoded(WOMAN), np.full(WOMAN.shape[:2], 200, np.uint8)])
    found = posed(RemoveArtifacts(), image, "YXS")
    assert found.remarks == (BY_IMAGE,)
    assert found.problem.measured.shape[1] == 3


@pytest.mark.parametrize(
    ("image", "axes", "message"),
    [
        (MAN / 255 - 2.0, "YX", r"the intensities go from -.* to .*; those of a JPEG are grey levels from 0 to 255"),
        (MAN * 16.0, "YX", r"the intensities go from .* to \d+; those of a JPEG are grey levels from 0 to 255"),
        (
            np.stack([MAN, MAN[::-1]]),
            "CYX",
            "the image has 2 channels and the JPEG 3: give the image as it was decoded",
        ),
    ],
)
def test_what_a_jpeg_of_that_quality_cannot_be_is_refused(image: np.ndarray, axes: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        posed(RemoveArtifacts(quality=30), image, axes)


def test_a_volume_is_no_jpeg() -> None:
    with pytest.raises(ValueError, match="JPEG compresses planes, and no volumes: restore plane by plane"):
        RemoveArtifacts().operator("ZYX", None)
