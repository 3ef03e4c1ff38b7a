"""What is given to a run is checked before a pixel is read; and what it takes to add a task, a network or an input."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_deep_prior.methods import DeepImagePrior, NLRidge
from napari_deep_prior.networks import NETWORKS, Hourglass, Network
from napari_deep_prior.physics.kernels import Kernel
from napari_deep_prior.physics.misfit import GaussianMisfit
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.operators import Identity
from napari_deep_prior.runs.efforts import settings_for
from napari_deep_prior.runs.recommend import Wish
from napari_deep_prior.runs.record import Recipe
from napari_deep_prior.runs.report import name_of_result
from napari_deep_prior.runs.run import restore
from napari_deep_prior.runs.run_options import RunOptions
from napari_deep_prior.runs.setup import set_up, wish_for
from napari_deep_prior.settings import Setting, choose_group
from napari_deep_prior.tasks import TASKS, Denoise, Inpaint, RemoveArtifacts, SuperResolve, Task
from napari_deep_prior.tasks import inputs as table
from napari_deep_prior.tasks.inputs import INPUTS, Input, Inputs, Target
from napari_deep_prior.tasks.task import Measured, Posed, Prepared, problem_of

from .toys import Counting, dimming

IMAGE = np.arange(63, dtype=np.float32).reshape(7, 9)


@pytest.mark.parametrize(
    ("image", "task", "options", "message"),
    [
        (np.zeros((4, 4), bool), Denoise(), {}, "pixels of type bool: real numbers are needed"),
        (np.zeros((0, 4)), Denoise(), {}, r"the image is empty: its shape is \(0, 4\)"),
        (np.zeros(4), Denoise(), {}, "at least the two axes"),
        (np.float32(3), Denoise(), {}, "at least the two axes"),
        (IMAGE, Denoise(), {"axes": "ZYX"}, "names 3 axes"),
        (IMAGE, Denoise(), {"device": "tpu"}, "'tpu' is unknown"),
        (IMAGE, Denoise(), {"dtype": "int8"}, "dtype is 'int8'; it must be one of 'same', 'float32'"),
        (IMAGE.astype(np.uint8), Inpaint(), {}, "there is no mask: give one that is not 0 where pixels are to be fill"),
        (IMAGE, SuperResolve(factor=1), {}, "the factors are all 1: nothing would be enlarged"),
        (IMAGE, SuperResolve(), {"kernel": np.ones((15, 15))}, "the kernel has 15 × 15 pixels and the result only 14"),
        (np.stack([IMAGE] * 2), RemoveArtifacts(), {"axes": "ZYX", "volume": True}, "JPEG compresses planes, and no"),
        (IMAGE, Inpaint(), {"mask": np.zeros((3, 3))}, r"the mask has shape \(3, 3\); the image's is \(7, 9\)"),
    ],
)
def test_what_cannot_be_done_is_refused_before_a_pixel_is_read(
    image: np.ndarray, task: Task, options: dict[str, Any], message: str
) -> None:
    lazy = Counting(image)
    with pytest.raises(ValueError, match=message):
        restore(lazy, task, dimming(), **({"device": "cpu"} | options))
    assert lazy.indices == []


def test_an_unknown_keyword_is_refused() -> None:
    with pytest.raises(TypeError, match="mesk"):
        restore(IMAGE, Inpaint(), mesk=IMAGE > 5)  # type: ignore[call-arg]


def test_a_mask_is_not_needed_where_pixels_can_be_nan() -> None:
    image = IMAGE.copy()
    image[3, 4] = np.nan
    result = restore(image, Inpaint(), dimming(), device="cpu").finish()
    assert np.isfinite(result).all()
    known = np.isfinite(image)
    np.testing.assert_array_equal(result[known], image[known])


def test_a_wish_is_a_name_with_an_effort_or_settings_with_none() -> None:
    assert wish_for("auto", "best", volume=True) == Wish(method="auto", effort="best", volume=True)
    exact = NLRidge()
    assert wish_for(exact, "best", volume=False) == Wish(method="nl-ridge", effort="", settings=exact)


def test_what_is_set_up_says_what_the_result_will_be() -> None:
    options = RunOptions(axes="PYX", device="cpu", dtype="float32")
    stack = Counting(np.zeros((3, 7, 9), np.uint8))
    setup = set_up(stack, SuperResolve(factor=3), Wish(), {"kernel": np.ones((3, 3))}, options)
    assert (setup.output.shape, setup.output.dtype) == ((3, 21, 27), np.float32)
    assert setup.factors == {"Y": 3, "X": 3}
    assert [piece.read[0] for piece in setup.pieces] == [0, 1, 2]
    assert setup.inputs.kernel is setup.operator.kernel
    assert stack.indices == []


# Adding a task is one class


@dataclass(frozen=True, kw_only=True)
class Negative(Task):
    """Measures the image itself, and says so."""

    command = "negative"
    result = "negated"
    takes = frozenset({"dark"})

    strength: Annotated[float, Setting("Strength", "of nothing", 0, 1)] = 0.5

    @property
    def neighbour_count(self) -> int | None:
        return 0

    @property
    def keeps_known(self) -> bool:
        return False

    def operator(self, axes: str, kernel: Kernel | None) -> Identity:
        return Identity()

    def prepare(self, first: Measured, noise: tuple[NoiseModel, ...], inputs: Inputs) -> Prepared:
        return Prepared(Identity(), noise, ("it was prepared",))

    def problem(self, measured: Measured, prepared: Prepared, inputs: Inputs) -> Posed:
        problem = problem_of(measured, prepared, GaussianMisfit())
        remark = f"strength {self.strength}, dark {getattr(inputs, 'dark', None)}"
        return Posed(problem=problem, frame=measured.frame, misfit="gaussian", remarks=(remark,))


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "negative", Negative)


@pytest.mark.usefixtures("added")
def test_a_task_that_was_added_runs_by_the_deep_image_prior_and_is_recorded() -> None:
    run = restore(IMAGE, Negative(strength=0.25), effort="fast", device="cpu")
    assert run.setup.forecast().choice.name == "deep-image-prior"
    next(run)
    run.close()
    record = run.record
    assert record.method == settings_for(Negative(), "deep-image-prior", "fast")
    assert record.reason == DeepImagePrior.reason
    assert record.remarks == ["it was prepared", "strength 0.25, dark None"]
    assert Recipe.from_json(record.to_json()).task == Negative(strength=0.25)
    assert name_of_result("cells", Negative()) == "cells negated"
    assert (run.image != IMAGE).any()


@pytest.mark.usefixtures("added")
def test_what_the_efforts_do_not_list_is_refused_for_a_task_that_was_added() -> None:
    with pytest.raises(ValueError, match="'negative' cannot be done by 'nl-ridge': choose 'auto' or one of 'deep-ima"):
        restore(IMAGE, Negative(), "nl-ridge", device="cpu")


# Adding an input is one row and one field


@pytest.mark.usefixtures("added")
def test_an_input_that_was_added_is_checked_and_reaches_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    def checked(dark: float, target: Target) -> float:
        if dark < 0:
            raise ValueError(f"the image of shape {target.shape} is never as dark as {dark}")
        return 2 * dark

    wider = dataclasses.make_dataclass("Wider", [("dark", Any, None)], bases=(Inputs,), frozen=True, kw_only=True)
    monkeypatch.setattr(table, "Inputs", wider)
    monkeypatch.setitem(INPUTS, "dark", Input("images", "Dark", "FILE", "an image without light", checked))
    run = restore(IMAGE, Negative(), dimming(), dark=4.0, device="cpu")
    next(run)
    assert run.record.remarks[-1] == "strength 0.5, dark 8.0"
    with pytest.raises(ValueError, match=r"the image of shape \(7, 9\) is never as dark as -1"):
        restore(IMAGE, Negative(), dimming(), dark=-1, device="cpu")
    with pytest.raises(ValueError, match=r"dark was given, but 'denoise' does not take it: .* or choose 'negative'"):
        restore(IMAGE, Denoise(), dimming(), dark=4.0, device="cpu")


# Adding a network is one class and one row


@dataclass(frozen=True, kw_only=True)
class Pointwise(Network):
    """Mixes the channels of a pixel."""

    smallest_side: ClassVar[int] = 5
    width: Annotated[int, Setting("Width", "channels of its only layer", 1, 64)] = 4

    def start_at(self, module: nn.Module, values: Tensor) -> None:
        with torch.no_grad():
            module[-1].bias.copy_(values)

    def _module(self, inputs: int, outputs: int, shape: tuple[int, ...]) -> nn.Module:
        assert min(shape) >= self.smallest_side
        return PointwiseModule(nn.Conv2d(inputs, self.width, 1), nn.Tanh(), nn.Conv2d(self.width, outputs, 1))


class PointwiseModule(nn.Sequential):
    """Layers in full precision, also on processors on which networks are given bfloat16."""

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        return super().forward(code.float())


def test_a_network_that_was_added_can_be_the_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "pointwise", Pointwise)
    method = choose_group(DeepImagePrior(steps=3, code_channels=4), "network", "pointwise")
    assert method.network == Pointwise()
    assert DeepImagePrior.from_json(method.to_json()) == method
    run = restore(IMAGE[:3], Denoise(), method, device="cpu")
    result = run.finish()
    assert result.shape == (3, 9)
    assert (result != IMAGE[:3]).any()
    assert Recipe.from_json(run.record.to_json()).method == method
    assert choose_group(method, "network", "hourglass").network == Hourglass()
