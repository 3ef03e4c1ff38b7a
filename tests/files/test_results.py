"""What the file of a result says of its place."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep_prior.files.image_file import ImageFile
from napari_deep_prior.files.results import with_spacing_of_result

PLACE = {"axes": "YX", "scale": [2.0, 3.0], "translate": [10.0, 20.0], "rotate": [[0, -1], [1, 0]],
         "shear": [[1, 0], [0, 1]], "affine": np.eye(3).tolist()}  # fmt: skip


def test_the_first_corner_of_an_enlarged_image_stays_where_it_was() -> None:
    image = ImageFile(pixels=np.zeros((4, 4)), axes="YX", spacing={"Y": 2.0, "X": 3.0}, place=PLACE)
    result = with_spacing_of_result(image, {"Y": 2.0, "X": 2.0})
    assert result.spacing == {"Y": 1.0, "X": 1.5}
    assert result.place["scale"] == [1.0, 1.5]
    # A quarter of a pixel towards the corner: 0.5 down and 0.75 to the right before it is turned by 90 degrees.
    np.testing.assert_allclose(result.place["translate"], [10 + 0.75, 20 - 0.5])


@pytest.mark.parametrize("place", [{}, {"axes": "YX"}, {**PLACE, "rotate": [1.0]}, PLACE])
def test_a_place_stays_as_it_is_where_nothing_is_enlarged_or_it_cannot_be_understood(place: dict[str, object]) -> None:
    image = ImageFile(pixels=np.zeros((4, 4)), axes="YX", place=place)
    assert with_spacing_of_result(image, {} if place is PLACE else {"Y": 2.0}).place == place
