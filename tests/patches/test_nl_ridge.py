from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_deep_prior.patches import nl_ridge
from napari_deep_prior.patches.nl_ridge import denoise_from_itself, denoise_with_pilot
from napari_deep_prior.patches.similar_patches import PATCH, find_similar_patches


def stripes(rows: int = 40, columns: int = 44) -> Tensor:
    """Return a plane that repeats itself every 8 columns."""
    return 0.5 + 0.4 * torch.sin(torch.arange(columns) * torch.pi / 4).expand(rows, columns)


def noisy_stripes(deviation: float = 0.1) -> Tensor:
    return stripes() + deviation * torch.randn(stripes().shape, generator=torch.Generator().manual_seed(0))


def patches_at(image: Tensor, corners: Tensor) -> Tensor:
    rows, columns = corners // image.shape[1], corners % image.shape[1]
    return image.unfold(0, PATCH, 1).unfold(1, PATCH, 1)[rows, columns]


def test_a_group_has_a_patch_itself_first_and_only_patches_inside_the_plane() -> None:
    image = torch.rand(20, 23, generator=torch.Generator().manual_seed(0))
    corners = find_similar_patches(image, group_size=10, search_radius=5)
    assert corners.shape[1] == 10
    assert int((corners // 23).max()) == 20 - PATCH
    assert int((corners % 23).max()) == 23 - PATCH
    firsts = {(int(corner) // 23, int(corner) % 23) for corner in corners[:, 0]}
    assert firsts == {(row, column) for row in (0, 4, 8, 12, 13) for column in (0, 4, 8, 12, 16)}


def test_the_patches_of_a_group_are_the_most_similar_ones() -> None:
    image = stripes()
    # In a corner there are nine rows times two columns of equal patches.
    patches = patches_at(image, find_similar_patches(image, group_size=18, search_radius=8))
    torch.testing.assert_close(patches, patches[:, :1].expand_as(patches), atol=1e-4, rtol=0)


@pytest.mark.parametrize("pilot", [False, True])
def test_similar_patches_remove_noise(pilot: bool) -> None:
    noisy, truth = noisy_stripes(), stripes()
    variance = torch.full_like(noisy, 0.01)
    denoised = denoise_with_pilot(noisy, truth, variance) if pilot else denoise_from_itself(noisy, variance)
    assert float((denoised - truth).square().mean()) < 0.2 * float((noisy - truth).square().mean())


def test_without_noise_an_image_stays_as_it_is() -> None:
    image = stripes()
    variance = torch.full_like(image, nl_ridge.SMALLEST_DEVIATION**2)
    torch.testing.assert_close(denoise_with_pilot(image, image, variance), image, atol=0.01, rtol=0)


@pytest.mark.parametrize("level", [0.05, 0.3])
def test_a_flat_image_keeps_its_level_also_in_the_dark(level: float) -> None:
    flat = torch.full((16, 18), level)
    variance = torch.full_like(flat, 0.01)
    torch.testing.assert_close(denoise_with_pilot(flat, flat, variance), flat, atol=0.001, rtol=0)


def test_time_and_memory_grow_with_the_plane_and_the_search() -> None:
    assert nl_ridge.seconds(512**2) > 3 * nl_ridge.seconds(256**2)
    assert nl_ridge.seconds(512**2, channels=3) < 3 * nl_ridge.seconds(512**2)
    assert nl_ridge.memory(512, 512, search_radius=12) > nl_ridge.memory(512, 512, search_radius=6)
