"""Arrays one after another: what cannot be restored is reported and stops no other, and nothing is done twice."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest

from napari_deep_prior.methods import Method
from napari_deep_prior.runs.batch import (
    Earlier,
    Job,
    JobOutcome,
    NotWrittenError,
    Progress,
    Scores,
    Work,
    restore_all,
)
from napari_deep_prior.runs.forecast import Forecast
from napari_deep_prior.runs.identity import identity
from napari_deep_prior.runs.recommend import Wish
from napari_deep_prior.runs.restoration import Restoration
from napari_deep_prior.runs.result import Result
from napari_deep_prior.runs.run_options import RunOptions
from napari_deep_prior.runs.setup import set_up

from .toys import Look, dimmed, dimming

IMAGE = np.random.default_rng(0).normal(100, 20, (9, 8)).astype(np.float32)


@dataclass
class Shelf:
    """Where the results of arrays in memory go, and what happens to them."""

    results: dict[str, np.ndarray] = field(default_factory=dict)
    records: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    errors: dict[str, BaseException] = field(default_factory=dict)
    refusals: dict[str, BaseException] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)

    def job(self, name: str, image: np.ndarray = IMAGE, method: Method | None = None) -> Job:
        return Job(name=name, result=f"{name}.result", size=image.nbytes, open=partial(self.open, name, image, method))

    def open(self, name: str, image: np.ndarray, method: Method | None) -> Work:
        self.opened.append(name)
        wish = Wish(method="dimming", settings=method or dimming())
        options = RunOptions(device="cpu", source=identity(image))
        return Shelved(self, name, set_up(image, Look(), wish, {}, options))


class Shelved(Work):
    def __init__(self, shelf: Shelf, name: str, setup: Any) -> None:
        super().__init__(setup)
        self.shelf, self.name = shelf, name

    def earlier(self) -> Earlier | None:
        record = self.shelf.records.get(self.name)
        return None if record is None else Earlier(record=record, scores=Scores(psnr_before=1, psnr=2))

    def refuse(self, run: Restoration, plan: Forecast) -> None:
        if self.name in self.shelf.refusals:
            raise self.shelf.refusals[self.name]

    def write(self, result: Result) -> Scores | None:
        if self.name in self.shelf.errors:
            raise self.shelf.errors[self.name]
        self.shelf.results[self.name] = result.image
        self.shelf.records[self.name] = result.record.to_json()
        return Scores(psnr_before=10.0, psnr=20.0)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def outcomes(events: Iterator[Progress | JobOutcome]) -> list[JobOutcome]:
    return [event for event in events if isinstance(event, JobOutcome)]


def statuses(events: Iterator[Progress | JobOutcome]) -> dict[str, str]:
    return {outcome.job.name: outcome.status for outcome in outcomes(events)}


def test_every_job_is_restored_and_its_outcome_says_how(shelf: Shelf) -> None:
    found = outcomes(restore_all([shelf.job("a"), shelf.job("b", IMAGE[:5] * 2)]))
    np.testing.assert_allclose(shelf.results["a"], dimmed(IMAGE, 2), rtol=1e-4)
    np.testing.assert_allclose(shelf.results["b"], dimmed(IMAGE[:5] * 2, 2), rtol=1e-4)
    assert [outcome.status for outcome in found] == ["done", "done"]
    first, second = found
    assert (first.image, second.image) == ("YX 9 × 8, float32", "YX 5 × 8, float32")
    assert first.identity == shelf.records["a"]["identity"] != second.identity
    assert first.record == shelf.records["a"]
    assert first.scores == Scores(psnr_before=10.0, psnr=20.0)
    assert first.seconds > 0
    # The process itself takes more than that.
    assert first.memory > 50 * 2**20


def test_progress_says_where_the_batch_is_and_how_long_it_takes(shelf: Shelf) -> None:
    events = list(restore_all([shelf.job("a"), shelf.job("b")]))
    seen = [(event.number, event.step and event.step.number) for event in events if isinstance(event, Progress)]
    assert seen == [(1, None), (1, 1), (1, 2), (2, None), (2, 1), (2, 2)]
    times = [event.seconds_left for event in events if isinstance(event, Progress)]
    assert times[0] is None
    assert all(time >= 0 for time in times[1:])
    assert all(event.count == 2 for event in events if isinstance(event, Progress))


def test_the_time_left_is_measured_in_bytes(shelf: Shelf) -> None:
    large = np.tile(IMAGE, (10, 10))
    events = list(restore_all([shelf.job("a"), shelf.job("b", large), shelf.job("c", large)]))
    (first,) = [event for event in events if isinstance(event, JobOutcome)][:1]
    begins = [event for event in events if isinstance(event, Progress) and event.step is None]
    assert begins[1].seconds_left == pytest.approx(200 * first.seconds, rel=0.1)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("the image is bad"), "the image is bad"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (MemoryError(), "not enough memory for an image of this size"),
        (RuntimeError("the device is gone"), "the run on cpu failed: the device is gone"),
    ],
)
def test_what_fails_is_reported_and_stops_no_other(shelf: Shelf, error: BaseException, words: str) -> None:
    jobs = [shelf.job("a"), shelf.job("b", method=dimming(error)), shelf.job("c")]
    if isinstance(error, MemoryError):
        shelf.refusals["b"] = error
        jobs[1] = shelf.job("b")
    found = outcomes(restore_all(jobs))
    assert [outcome.status for outcome in found] == ["done", "failed", "done"]
    assert words in found[1].message
    assert found[1].image == "YX 9 × 8, float32"
    assert set(shelf.results) == {"a", "c"}


def test_what_cannot_be_opened_or_written_is_reported(shelf: Shelf) -> None:
    def broken() -> Work:
        raise ValueError("the file is broken")

    shelf.refusals["b"] = ValueError("there is no place")
    shelf.errors["c"] = ValueError("the format cannot hold it")
    jobs = [Job(name="a", result="", size=0, open=broken), *map(shelf.job, "bcd")]
    found = outcomes(restore_all(jobs))
    assert [outcome.status for outcome in found] == ["failed", "failed", "failed", "done"]
    assert [outcome.message for outcome in found[:3]] == [
        "the file is broken",
        "there is no place",
        "the format cannot hold it",
    ]


def test_what_is_finished_is_not_done_again_and_other_results_stay(shelf: Shelf) -> None:
    list(restore_all([shelf.job("a"), shelf.job("b"), shelf.job("c")]))
    del shelf.records["c"]
    shelf.records["d"] = {}
    shelf.results.clear()
    again = [shelf.job("a"), shelf.job("b", IMAGE + 1), shelf.job("c"), shelf.job("d")]
    found = outcomes(restore_all(again))
    assert [outcome.status for outcome in found] == ["skipped", "refused", "done", "refused"]
    assert set(shelf.results) == {"c"}
    assert found[0].record == shelf.records["a"]
    assert found[0].scores == Scores(psnr_before=1, psnr=2)
    assert found[1].message.startswith("'b.result' exists already, and was made of another input, with other settings")
    assert found[3].message.startswith("'d.result' exists already, and is no result of this program: choose another")


def test_a_full_disk_ends_the_batch_and_keeps_what_is_finished(shelf: Shelf) -> None:
    shelf.errors["b"] = OSError(28, "No space left on device")
    events = restore_all([shelf.job("a"), shelf.job("b"), shelf.job("c")])
    with pytest.raises(NotWrittenError, match=r"the result of 'b' could not be written: .*No space left on device"):
        list(events)
    assert set(shelf.results) == {"a"}
    assert shelf.opened == ["a", "b"]


def test_stopping_is_not_asking_again_and_writes_nothing_that_is_not_finished(shelf: Shelf) -> None:
    events = restore_all([shelf.job("a"), shelf.job("b"), shelf.job("c")])
    for event in events:
        if isinstance(event, Progress) and event.number == 2 and event.step is not None:
            break
    events.close()
    assert set(shelf.results) == {"a"}
    assert statuses(restore_all([shelf.job("a"), shelf.job("b"), shelf.job("c")])) == {
        "a": "skipped",
        "b": "done",
        "c": "done",
    }


def test_ctrl_c_in_a_step_is_passed_on(shelf: Shelf) -> None:
    with pytest.raises(KeyboardInterrupt):
        list(restore_all([shelf.job("a"), shelf.job("b", method=dimming(KeyboardInterrupt())), shelf.job("c")]))
    assert set(shelf.results) == {"a"}


def test_an_image_is_not_kept_once_it_is_restored(shelf: Shelf) -> None:
    held: list[weakref.ref[np.ndarray]] = []

    def opened() -> Work:
        image = IMAGE * 2
        held.append(weakref.ref(image))
        return shelf.open("a", image, None)

    events = restore_all([Job(name="a", result="", size=1, open=opened), shelf.job("b")])
    event = next(events)
    while event.number == 1 if isinstance(event, Progress) else True:
        event = next(events)
    gc.collect()
    assert held[0]() is None
    events.close()


def test_an_empty_batch_ends_at_once() -> None:
    assert list(restore_all([])) == []
