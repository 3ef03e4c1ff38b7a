"""Pieces that are restored by the workers of a dask cluster: processes of this computer, or of others.

Needs the extra ``cluster``.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, final

from ..arrays.pieces import Piece
from .elsewhere import restore_piece
from .errors import RestorationError
from .executor import Executor, PieceDone, PieceJob
from .identity import VERSION

NOT_INSTALLED = (
    "runs on several processes or computers need the packages dask and distributed, which are not installed: pip "
    "install 'napari-deep-prior[cluster]'"
)

WAIT = 20
"""Seconds in which a scheduler must answer."""

AHEAD = 2
"""Pieces that are under way or waiting for each thread of a worker: more would only fill the scheduler."""

ATTEMPTS = 3
"""How often a piece is begun anew after its worker, or what it needs, was lost."""


def library(name: str) -> Any:
    """Return a module of the extra ``cluster``.

    Raises
    ------
    ValueError
        If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(NOT_INSTALLED) from error


@final
class DaskExecutor(Executor):
    """Has the workers of a cluster restore pieces.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster.
    words : str
        Who the workers are, for people.
    resources : mapping of str to float, optional
        What a piece needs of a worker, such as ``{"GPU": 1}``.
    cluster : object, optional
        What ends with this executor.

    Raises
    ------
    ValueError
        If a worker cannot restore anything.
    """

    def __init__(
        self,
        client: Any,
        words: str,
        *,
        resources: Mapping[str, float] | None = None,
        cluster: Any = None,
    ) -> None:
        self._client, self._words = client, words
        self._resources, self._cluster = dict(resources or {}), cluster
        refuse_workers(client.run(_about_worker()))

    @property
    def in_words(self) -> str:
        """Return who the workers are."""
        return self._words

    @property
    def is_running(self) -> bool:
        """Whether the cluster can still be asked."""
        return bool(self._client.status == "running")

    def restore(self, job: PieceJob, pieces: Sequence[Piece]) -> Iterator[PieceDone]:
        """Yield pieces as soon as they are restored, in any order.

        Raises
        ------
        RestorationError
            If a piece cannot be restored, or there is no worker any more.
        """
        waiting = [piece.number for piece in pieces][::-1]
        attempts = dict.fromkeys(waiting, 0)
        under_way: dict[Any, int] = {}
        sent = self._client.scatter(job, broadcast=True, hash=False)
        finished = library("distributed").as_completed(loop=self._client.loop)
        try:
            while waiting or under_way:
                while waiting and len(under_way) < self._most_under_way():
                    number = waiting.pop()
                    future = self._submit(sent, number)
                    under_way[future] = number
                    finished.add(future)
                future = next(finished)
                number = under_way.pop(future)
                if future.status == "finished":
                    yield future.result()
                    continue
                attempts[number] += 1
                if not _is_lost(future) or attempts[number] > ATTEMPTS:
                    raise _as_sentence(future, number)
                if future.status != "error":
                    # What all pieces need was lost with the worker that had it.
                    sent = self._client.scatter(job, broadcast=True, hash=False)
                waiting.append(number)
        finally:
            self._client.cancel(list(under_way))

    def close(self) -> None:
        """End what was begun for this executor."""
        if self._cluster is not None:
            self._client.close()
            self._cluster.close()

    def _submit(self, sent: Any, number: int) -> Any:
        # Those of one computer share its cores, and each takes its part of them.
        hosts: Counter[str] = Counter()
        for address, threads in self._client.nthreads().items():
            hosts[_host(address)] += threads
        return self._client.submit(
            _restore, sent, number, dict(hosts), pure=False, retries=ATTEMPTS, resources=self._resources or None
        )

    def _most_under_way(self) -> int:
        """Return how many pieces may be under way; workers may come and go."""
        threads: int = sum(self._client.nthreads().values())
        return AHEAD * max(1, threads)


def refuse_workers(found: Mapping[str, Mapping[str, str]]) -> None:
    """Raise a ValueError if a worker lacks what it needs.

    Parameters
    ----------
    found : mapping
        For the address of each worker, the versions of this package and of PyTorch there; empty where it has none.
    """
    for address, versions in found.items():
        if not versions["package"]:
            raise ValueError(
                f"the worker {address} has no napari-deep-prior: install the version {VERSION} there, as here"
            )
        if versions["package"] != VERSION:
            raise ValueError(
                f"the worker {address} has napari-deep-prior {versions['package']} and this computer {VERSION}: "
                "install the same version on both, since results of two versions are not mixed"
            )
        if not versions["torch"]:
            raise ValueError(f"the worker {address} has no PyTorch: install it there (pip install torch)")


def _about_worker() -> Any:
    """Return a function that tells what a worker has; it is sent as a whole, since a worker may lack this package."""

    def about() -> dict[str, str]:
        import importlib.metadata

        versions = {}
        for key, name in (("package", "napari-deep-prior"), ("torch", "torch")):
            try:
                versions[key] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                versions[key] = ""
        return versions

    # Functions of a module that can be imported are sent by their name only.
    about.__module__ = "__main__"
    return about


def _restore(job: PieceJob, number: int, hosts: Mapping[str, int]) -> PieceDone:
    """Restore a piece on a worker.

    Parameters
    ----------
    hosts : mapping of str to int
        How many pieces are restored at the same time on each computer.
    """
    worker = library("distributed").get_worker()
    at_once = max(hosts.get(_host(worker.address), 0), worker.state.nthreads)
    return restore_piece(job, number, max(1, cores_here() // at_once))


def _host(address: str) -> str:
    """Return the computer in the address of a worker."""
    return address.rpartition(":")[0]


def cores_here() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _is_lost(future: Any) -> bool:
    """Return whether a piece failed because something was lost that it needs, not by itself."""
    return future.status in ("cancelled", "lost") or type(future.exception()).__name__ == "FutureCancelledError"


def _as_sentence(future: Any, number: int) -> BaseException:
    """Return what to raise for a piece that cannot be restored."""
    if future.status in ("cancelled", "lost"):
        return RestorationError(
            f"piece {number + 1} was lost {ATTEMPTS} times with its worker: look at the logs of the cluster, and start "
            "the same run again"
        )
    error: BaseException = future.exception()
    if type(error).__name__ == "KilledWorker":
        return RestorationError(
            f"piece {number + 1} has ended its workers again and again, perhaps for lack of memory: give the workers "
            "more memory, or choose smaller tiles with --tile"
        )
    return error
