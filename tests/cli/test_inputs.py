"""What is given besides the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_deep_prior.cli.inputs import FileReader, read_inputs
from napari_deep_prior.cli.main import DONE, _parser, main
from napari_deep_prior.files import images
from napari_deep_prior.runs import restore
from napari_deep_prior.runs.record import Recipe
from napari_deep_prior.tasks import TASKS, Inpaint
from napari_deep_prior.tasks.inputs import INPUTS, Input

from .conftest import Refused

FILL = ["--passes", "2", "--group-size", "8", "--search-radius", "3", "--device", "cpu"]


def inpaint(*arguments: str) -> int:
    return main(["inpaint", *arguments, *FILL])


def given(*arguments: str) -> dict[str, Any]:
    """Return what inpainting is given besides the image."""
    command = ["inpaint", "in.ome.tif", "out.tif", *arguments]
    return read_inputs(Inpaint(), _parser(command).parse_args(command), FileReader())


@pytest.fixture
def mask(folder: Path) -> np.ndarray:
    """Two scratches over in.ome.tif, also in mask.tif."""
    marked = np.zeros((21, 17), bool)
    marked[7:9], marked[:, 4] = True, True
    tifffile.imwrite("mask.tif", marked.astype(np.uint8))
    return marked


def test_what_a_mask_marks_is_filled_and_all_else_stays_to_the_bit(mask: np.ndarray) -> None:
    assert inpaint("in.ome.tif", "out.tif", "--mask", "mask.tif", "--seed", "3") == DONE
    before, after = images.read("in.ome.tif"), images.read("out.tif")
    assert (after.axes, after.pixels.dtype, after.spacing) == ("YX", before.pixels.dtype, before.spacing)
    np.testing.assert_array_equal(after.pixels[~mask], before.pixels[~mask])
    assert (after.pixels != before.pixels)[mask].mean() > 0.8
    recipe = Recipe.from_json(after.record)
    assert (recipe.task, recipe.method.seed) == (Inpaint(), 3)
    again = restore(before.pixels, recipe.task, recipe.method, mask=mask, device="cpu").finish()
    np.testing.assert_array_equal(after.pixels, again)


def test_a_mask_can_be_inverted(mask: np.ndarray) -> None:
    tifffile.imwrite("keep.tif", np.where(mask, 0, 255).astype(np.uint8))
    np.testing.assert_array_equal(given("--mask", "mask.tif")["mask"], mask)
    np.testing.assert_array_equal(given("--mask", "keep.tif", "--invert-mask")["mask"], mask)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_mask_may_be_an_image_of_any_kind(mask: np.ndarray, mode: str) -> None:
    grey = Image.fromarray(np.where(mask, 60, 0).astype(np.uint8))
    red = Image.merge("RGB", [grey, *[Image.new("L", grey.size)] * 2])
    opaque = Image.new("L", grey.size, 255)
    saved = {
        "1": grey.point(lambda value: 255 * (value > 0), "1"),
        "LA": Image.merge("LA", [grey, opaque]),
        "P": red.convert("P"),
        "RGB": red,
        "RGBA": Image.merge("RGBA", [*red.split(), opaque]),
        "I;16": Image.fromarray(np.where(mask, 1, 0).astype(np.uint16)),
    }
    saved.get(mode, grey).save("mask.png")
    with Image.open("mask.png") as image:
        assert image.mode == mode
    np.testing.assert_array_equal(given("--mask", "mask.png")["mask"], mask)


def test_a_mask_of_a_plane_or_of_all_planes_fills_a_stack(folder: Path, noisy: np.ndarray) -> None:
    stack = np.stack([noisy[:12, :13], noisy[12:24, :13]])
    mask = np.zeros(stack.shape, np.uint8)
    mask[:, 5] = 1
    tifffile.imwrite("stack.tif", stack, photometric="minisblack")
    tifffile.imwrite("plane.tif", mask[0])
    tifffile.imwrite("planes.tif", mask, photometric="minisblack")
    assert inpaint("stack.tif", "out.tif", "--axes", "ZYX", "--mask", "plane.tif") == DONE
    assert inpaint("stack.tif", "again.tif", "--axes", "ZYX", "--mask", "planes.tif") == DONE
    result = images.read("out.tif")
    assert len(result.record["chosen_steps"]) == result.record["piece_count"] == 2
    np.testing.assert_array_equal(result.pixels, images.read("again.tif").pixels)
    np.testing.assert_array_equal(result.pixels[mask == 0], stack[mask == 0])
    assert (result.pixels != stack)[mask > 0].mean() > 0.8


def test_without_a_mask_missing_pixels_are_filled(folder: Path, noisy: np.ndarray) -> None:
    holes = noisy[:12, :13].astype(np.float32)
    holes[2:5, 3:5] = np.nan
    tifffile.imwrite("holes.tif", holes)
    assert inpaint("holes.tif", "out.tif") == DONE
    result = images.read("out.tif").pixels
    assert np.isfinite(result).all()
    np.testing.assert_array_equal(result[np.isfinite(holes)], holes[np.isfinite(holes)])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--mask", "small.tif"], r"the mask has shape (5, 7); the image's is (21, 17) (axes YX): give a mask of that"),
        (["--mask", "empty.tif"], "the mask is empty: paint what is to be filled"),
        (["--mask", "full.tif"], "the mask covers everything: nothing is known"),
        (["--mask", "empty.tif", "--invert-mask"], "the mask covers everything: nothing is known"),
        (["--mask", "full.tif", "--invert-mask"], "the mask is empty: paint what is to be filled"),
        (["--mask", "missing.tif"], "there is no file 'missing.tif'"),
        (["--mask", "text.tif"], "cannot read 'text.tif' as an image"),
        (["--invert-mask"], "--invert-mask was given without --mask"),
        ([], "there is no mask: give one that is not 0 where pixels are to be filled"),
    ],
)
def test_a_mask_that_cannot_be_used_gets_one_sentence(refused: Refused, arguments: list[str], sentence: str) -> None:
    Path("text.tif").write_text("no image")
    tifffile.imwrite("small.tif", np.eye(5, 7, dtype=np.uint8))
    tifffile.imwrite("empty.tif", np.zeros((21, 17), np.uint8))
    tifffile.imwrite("full.tif", np.full((21, 17), 255, np.uint8))
    said = refused("inpaint", "in.ome.tif", "out.tif", *FILL, *arguments)
    assert said.startswith(f"deep-prior: {sentence}")


def test_the_tables_of_another_file_can_be_given(refused: Refused) -> None:
    Image.fromarray(images.read("in.ome.tif").pixels.astype(np.uint8)).save("in.jpg", quality=20)
    Image.open("in.jpg").save("in.png")
    command = ["remove-artifacts", "in.png", "out.tif"]
    task, parser = TASKS["remove-artifacts"](), _parser(command)
    assert read_inputs(task, parser.parse_args(command), FileReader()) == {"jpeg": None}
    by_itself = read_inputs(task, parser.parse_args(["remove-artifacts", "in.jpg", "out.tif"]), FileReader())
    assert by_itself["jpeg"] is not None
    assert read_inputs(task, parser.parse_args([*command, "--jpeg", "in.jpg"]), FileReader()) == by_itself
    assert "'in.png' is no JPEG: leave out --jpeg" in refused(*command, "--jpeg", "in.png")


def test_an_input_of_an_existing_kind_needs_a_row_of_the_table_only(
    mask: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Input("mask", "Trusted", "FILE", "what is known for certain", lambda value, _target: value)
    monkeypatch.setitem(INPUTS, "trusted", row)
    monkeypatch.setattr(Inpaint, "takes", Inpaint.takes | {"trusted"})
    tifffile.imwrite("keep.tif", np.where(mask, 0, 255).astype(np.uint8))
    np.testing.assert_array_equal(given("--trusted", "keep.tif")["trusted"], ~mask)
    np.testing.assert_array_equal(given("--trusted", "keep.tif", "--invert-trusted")["trusted"], mask)
