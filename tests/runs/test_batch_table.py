"""The table of a batch: one row for each input, whole at any time."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest

from napari_deep_prior.methods import NLRidge
from napari_deep_prior.methods.trained_network import UNFIT
from napari_deep_prior.runs.batch import Job, JobOutcome, Scores, Work
from napari_deep_prior.runs.batch_table import COLUMNS, Table, residuals_in_words
from napari_deep_prior.runs.batch_words import end_in_words


def never() -> Work:
    raise AssertionError("the table opens nothing")


def outcome(name: str, **changes: Any) -> JobOutcome:
    job = Job(name=name, result=f"out/{name}", size=1, open=never)
    return JobOutcome(**{"job": job, "status": "done", "identity": "abc"} | changes)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", errors="surrogateescape", newline="") as opened:
        return list(csv.DictReader(opened))


def test_a_row_says_everything_in_its_column(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    record = {
        "noise": {"in_words": "photons, gain = 2"},
        "method": NLRidge().to_json(),
        "residuals": ["like noise: 0.1"],
    }
    scores = Scores(psnr_before=20.123, psnr=math.inf, ssim_before=0.51239, ssim=None)
    told = outcome("a.tif", record=record, seconds=12.34, memory=3 * 2**20, scores=scores, message="one,\n two")
    Table(file).add(told)
    (row,) = rows(file)
    assert tuple(row) == COLUMNS
    assert row == {
        "file": "a.tif", "result": "out/a.tif", "status": "done", "hash": "abc", "image": "",
        "noise": "photons, gain = 2", "method": "nl-ridge", "seconds": "12.3", "memory_mib": "3",
        "psnr_before": "20.12", "psnr": "inf", "ssim_before": "0.5124", "ssim": "", "residual": "like noise: 0.1",
        "message": "one, two",
    }  # fmt: skip


def test_a_batch_without_references_keeps_what_one_with_them_has_compared(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    scores = Scores(psnr_before=20.0, psnr=30.0, ssim_before=0.5, ssim=0.9)
    Table(file).add(outcome("a.tif", scores=scores))
    table = Table(file)
    table.add(outcome("a.tif", status="skipped"))
    table.write()
    assert rows(file)[0]["psnr"] == "30.00"
    table.add(outcome("a.tif", status="skipped", scores=Scores(psnr_before=1.0, psnr=2.0, ssim_before=None, ssim=None)))
    table.write()
    assert (rows(file)[0]["psnr"], rows(file)[0]["ssim"]) == ("2.00", "")
    table.add(outcome("a.tif", identity="another result"))
    assert rows(file)[0]["psnr"] == ""


def test_rows_are_sorted_and_those_of_earlier_batches_stay(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    table = Table(file)
    for name in ("b.tif", "c.tif"):
        table.add(outcome(name, seconds=1.0, memory=2**20))
    table = Table(file)
    table.add(outcome("c.tif", status="skipped"))
    table.add(outcome("b.tif", status="failed", identity="", message="broken"))
    table.add(outcome("a.tif", status="skipped"))
    table.write()
    found = rows(file)
    assert [(row["file"], row["status"], row["seconds"]) for row in found] == [
        ("a.tif", "skipped", ""),
        ("b.tif", "failed", ""),
        # What only the batch knew that has restored it.
        ("c.tif", "skipped", "1.0"),
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_the_file_is_written_after_every_new_result(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    table = Table(file)
    for number, status in enumerate(("done", "failed", "refused"), 1):
        table.add(outcome(f"{number}.tif", status=status))
        assert len(rows(file)) == number


@pytest.mark.parametrize("content", [b"", b"file,size\na,1\n", b"II*\0\xff\xfe", b'"'])
def test_a_file_that_is_no_table_of_a_batch_stays(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="is no table of a batch, and would be replaced: move it"):
        Table(file)
    assert file.read_bytes() == content


def test_names_that_are_no_text_are_written_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    Table(file).add(outcome("a\udcff.tif"))
    assert b"a\xff.tif" in file.read_bytes()
    assert Table(file)._rows["a\udcff.tif"]["status"] == "done"


def test_the_residuals_of_a_stack_are_counted() -> None:
    assert residuals_in_words([]) == ""
    assert residuals_in_words(["noise: 1"]) == "noise: 1"
    stack = ["noise: 1", "structure: 3", "noise: 2", ""]
    assert residuals_in_words(stack) == "noise (2 of 4 slices); structure (1 of 4 slices)"


def test_most_images_are_of_a_kind_only_if_they_are_more_than_half() -> None:
    kinds = ["YX 8 × 8, uint8", "YX 9 × 9, uint8", "YX 7 × 7, uint8"]
    different = end_in_words([outcome(f"{kind[3]}.tif", image=kind) for kind in kinds], 3)
    assert different[0] == "the images are of 3 different shapes or types: see the table"
    same = end_in_words([outcome(f"{number}.tif", image=kinds[min(number, 1)]) for number in (0, 2, 3)], 3)
    assert same[0] == "'0.tif' is YX 8 × 8, uint8; most images are YX 9 × 9, uint8"
    assert end_in_words([outcome("a.tif", image=kinds[0])], 12) == ["1 restored of 12 files"]


def test_images_that_a_trained_network_did_not_fit_are_counted() -> None:
    every = [outcome("a.tif", message=UNFIT), outcome("b.tif"), outcome("c.tif", message=f"axes; {UNFIT}")]
    words = "the trained network did not fit 2 files: the table says what restored them"
    assert end_in_words(every, 3)[1:] == [words]
