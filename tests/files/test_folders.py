"""Which files of a folder are images, and what their results are called."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from napari_deep_prior.files.folders import TABLE, images_in, names_of_results, size_of
from napari_deep_prior.files.replacing import alone_in

FILES = ["b.tif", "a.TIF", "c.png", "d.jpeg", "notes.txt", "._b.tif", ".hidden.tif", TABLE, "sub/e.tif", ".git/f.tif"]
FILES += ["out/b.tif", "out/deep/g.tif"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (tmp_path / "in" / "folder.tif").mkdir()
    (tmp_path / "in" / "z.zarr" / "0").mkdir(parents=True)
    (tmp_path / "in" / "z.zarr" / "0" / "0.tif").write_text("a chunk")
    return tmp_path / "in"


def found(folder: Path, pattern: str | None = None, results: Path | None = None) -> list[str]:
    return [file.as_posix() for file in images_in(folder, pattern, results=results or folder / "out")]


def test_all_images_are_found_by_their_endings_and_nothing_else(folder: Path) -> None:
    assert found(folder) == ["a.TIF", "b.tif", "c.png", "d.jpeg", "z.zarr"]


def test_the_size_of_an_image_is_that_of_its_file(folder: Path) -> None:
    (folder / "b.tif").write_text("12345")
    (folder / "z.zarr" / "zarr.json").write_text("{}")
    assert [size_of(folder / name) for name in ("b.tif", "z.zarr", "none.tif")] == [5, 0, 0]


@pytest.mark.parametrize("version", [2, 3])
def test_the_size_of_an_image_in_zarr_is_known_without_its_chunks(tmp_path: Path, version: int) -> None:
    zarr = pytest.importorskip("zarr")
    plain, group = tmp_path / "plain.zarr", tmp_path / "group.zarr"
    zarr.create_array(str(plain), shape=(4, 6, 5), chunks=(1, 6, 5), dtype="uint16", zarr_format=version)
    zarr.open_group(str(group), mode="w", zarr_format=version).create_array("data", shape=(7, 9), dtype="float32")
    assert [size_of(plain), size_of(group)] == [240, 252]


def test_a_pattern_finds_what_it_names_but_no_folders_hidden_files_results_or_tables(folder: Path) -> None:
    assert found(folder, "*.tif") == ["b.tif"]
    assert found(folder, "*.txt") == ["notes.txt"]
    assert found(folder, "**/*.tif") == ["b.tif", "sub/e.tif"]
    assert found(folder, "**/*.tif", folder.parent / "out") == ["b.tif", "out/b.tif", "out/deep/g.tif", "sub/e.tif"]
    with pytest.raises(ValueError, match=r"no files that match '\*\.csv' in the folder"):
        found(folder, "*.csv")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_results_are_known_by_any_name_of_their_folder(folder: Path) -> None:
    (folder.parent / "link").symlink_to(folder / "out")
    assert found(folder, "**/*.tif", folder.parent / "link") == ["b.tif", "sub/e.tif"]
    (folder.parent / "same").symlink_to(folder)
    with pytest.raises(ValueError, match="the results would replace the images of"):
        found(folder, results=folder.parent / "same")


def test_the_images_may_lie_inside_of_the_folder_of_the_results(folder: Path) -> None:
    assert found(folder, results=folder.parent) == ["a.TIF", "b.tif", "c.png", "d.jpeg", "z.zarr"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_to_nowhere_is_a_file_that_cannot_be_read(folder: Path) -> None:
    (folder / "dead.tif").symlink_to("nowhere")
    assert "dead.tif" in found(folder)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [("", "there are no"), ("/x/*.tif", "must be one of names"), ("../*.tif", "there are no files")],
)
def test_what_is_no_pattern_in_the_folder_is_refused(folder: Path, pattern: str, words: str) -> None:
    (folder / "out" / "b.tif").unlink()
    with pytest.raises(ValueError, match=words):
        found(folder / "out" / "deep" / "..", pattern, folder.parent / "elsewhere")


def test_a_folder_that_is_not_there_or_empty_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="there is no folder"):
        found(folder / "none")
    with pytest.raises(ValueError, match="there is no folder"):
        found(folder / "b.tif")
    with pytest.raises(ValueError, match="there are no images in the folder"):
        found(folder / "folder.tif")


def test_results_are_called_like_the_images_and_are_tiff_or_zarr() -> None:
    files = [Path(name) for name in ("a.tif", "b.ome.tif", "c.TIFF", "d.png", "sub/a.jpg", "e.tar.png", "f.ome.zarr")]
    names = ["a.tif", "b.ome.tif", "c.TIFF", "d.tif", "sub/a.tif", "e.tar.tif", "f.ome.zarr"]
    assert [name.as_posix() for name in names_of_results(files)] == names
    names = ["a.ome.zarr", "b.ome.zarr", "c.ome.zarr", "d.ome.zarr", "sub/a.ome.zarr", "e.tar.ome.zarr", "f.ome.zarr"]
    assert [name.as_posix() for name in names_of_results(files, zarr=True)] == names


@pytest.mark.parametrize(
    "names", [("a.tif", "a.png"), ("a.jpg", "a.png"), ("A.tif", "a.tif"), ("é.tif", "e\u0301.tif")]
)
def test_two_images_of_one_result_are_refused(names: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=f"'{names[0]}' and '{names[1]}' would have one result, .*: rename one"):
        names_of_results([Path("b.tif"), *map(Path, names)])


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked there")
def test_two_batches_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(ValueError, match="another batch writes into"), alone_in(tmp_path):
        pass
    with alone_in(tmp_path):
        assert list(tmp_path.iterdir()) == []
