"""Clusters: processes of this computer, a scheduler that is running, a dask client, or jobs of SLURM."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .dask_executor import WAIT, DaskExecutor, cores_here, library

JOBS = "jobs"
"""What a file of ``--compute`` has besides the settings of dask-jobqueue: how many jobs are begun."""

RESOURCES = "resources"
"""What a file of ``--compute`` can have for GPUs: what a piece needs of a worker."""

_begun: dict[tuple[str, object], DaskExecutor] = {}


def executor_of(
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    compute: str | None = None,
    client: Any = None,
) -> DaskExecutor | None:
    """Return who restores the pieces; None: this process. What was begun once serves all runs of this process.

    Parameters
    ----------
    workers : int, optional
        Processes of this computer.
    scheduler : str, optional
        Address of a dask scheduler that is running.
    compute : str, optional
        A yaml with the settings of SLURM jobs.
    client : distributed.Client, optional
        Of any cluster.

    Raises
    ------
    ValueError
        If more than one of them is given, or it cannot be used.
    """
    given: dict[str, tuple[Any, Callable[[Any], DaskExecutor]]] = {
        "workers": (workers, on_this_computer),
        "scheduler": (scheduler, at_scheduler),
        "compute": (compute, on_slurm),
        "client": (client, of_client),
    }
    asked = {name: pair for name, pair in given.items() if pair[0] is not None}
    if len(asked) > 1:
        raise ValueError(f"{' and '.join(asked)} exclude each other: give one of them")
    for name, (value, begin) in asked.items():
        key = (name, value if name != "client" else id(value))
        if key not in _begun or not _begun[key].is_running:
            _begun[key] = begin(value)
        return _begun[key]
    return None


def on_this_computer(workers: int) -> DaskExecutor:
    """Return an executor with processes of this computer, which share its cores.

    Raises
    ------
    ValueError
        If there is to be none, or the extra ``cluster`` is not installed.
    """
    if workers < 1:
        raise ValueError(f"there are to be {workers} workers: give at least 1")
    distributed = library("distributed")
    cluster = distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
    )
    threads = max(1, cores_here() // workers)
    client = distributed.Client(cluster, set_as_default=False)
    words = f"{workers} processes with {threads} thread{'s' if threads > 1 else ''} each"
    return DaskExecutor(client, words, cluster=cluster)


def of_client(client: Any) -> DaskExecutor:
    """Return an executor with the workers of a dask client.

    Raises
    ------
    ValueError
        If it is none.
    """
    if not isinstance(client, library("distributed").Client):
        raise ValueError(f"the client is {type(client).__name__}: give a distributed.Client")
    return DaskExecutor(client, f"the workers of {client.scheduler.address}")


def at_scheduler(address: str) -> DaskExecutor:
    """Return an executor with the workers of a scheduler that is running.

    Raises
    ------
    ValueError
        If there is none at the address, or it has no workers.
    """
    distributed = library("distributed")
    try:
        client = distributed.Client(address, timeout=WAIT, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ValueError(
            f"there is no scheduler at {address!r} ({error}): start one with 'dask scheduler', or give its address, as "
            "tcp://host:8786"
        ) from error
    if not client.nthreads():
        client.close()
        raise ValueError(f"the scheduler at {address!r} has no workers: start some with 'dask worker {address}'")
    return DaskExecutor(client, f"the workers of {address}")


def slurm_cluster(settings: Mapping[str, Any]) -> Any:
    """Return a cluster of SLURM jobs (dask-jobqueue), of which none is begun.

    Parameters
    ----------
    settings : mapping
        As :func:`read_compute` returns them.

    Raises
    ------
    ValueError
        If a setting is not known, or lacks.
    """
    jobqueue = library("dask_jobqueue")
    own = {name: value for name, value in settings.items() if name not in (JOBS, RESOURCES)}
    known = _parameters(jobqueue.SLURMCluster, library("dask_jobqueue.slurm").SLURMJob)
    if unknown := sorted(set(own) - known):
        raise ValueError(f"the cluster has no settings {', '.join(unknown)}: choose among {', '.join(sorted(known))}")
    if lacking := [name for name in ("cores", "memory") if name not in own]:
        raise ValueError(f"the cluster needs {' and '.join(lacking)} of a job: add lines such as 'cores: 8'")
    # Dask's own page of the cluster would need a port, which another cluster may have.
    options = {"dashboard": False, "dashboard_address": ":0"} | own.pop("scheduler_options", {})
    return jobqueue.SLURMCluster(n_workers=0, scheduler_options=options, **own)


def _parameters(*kinds: type) -> set[str]:
    """Return the names of what classes and those that they are made of can be given."""
    bases = {base for kind in kinds for base in kind.__mro__ if base.__module__.startswith("dask_jobqueue")}
    found = {name for base in bases for name in inspect.signature(base).parameters}
    return found - {"self", "args", "kwargs", "n_workers", "job_cls", "scheduler", "name", "protocol", "asynchronous"}


def on_slurm(path: str) -> DaskExecutor:
    """Return an executor with SLURM jobs, which are begun.

    Parameters
    ----------
    path : str
        A yaml with the settings of ``dask_jobqueue.SLURMCluster``, ``jobs`` and, for GPUs, ``resources``.

    Raises
    ------
    ValueError
        If the file cannot be read, or no job begins.
    """
    settings = read_compute(path)
    cluster = slurm_cluster(settings)
    cluster.scale(jobs=int(settings.get(JOBS, 1)))
    client = library("distributed").Client(cluster, set_as_default=False)
    client.wait_for_workers(1)
    words = f"{settings.get(JOBS, 1)} jobs of SLURM"
    return DaskExecutor(client, words, resources=settings.get(RESOURCES), cluster=cluster)


def read_compute(path: str) -> dict[str, Any]:
    """Return the settings in a yaml file.

    Raises
    ------
    ValueError
        If it cannot be read, or has something else than settings.
    """
    yaml = library("yaml")
    try:
        settings = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {path!r}: {error.strerror}") from error
    except (UnicodeError, yaml.YAMLError) as error:
        raise ValueError(f"cannot read {path!r} as yaml: {error}") from error
    if not isinstance(settings, dict) or not all(isinstance(name, str) for name in settings):
        raise ValueError(f"{path!r} has no settings: give lines such as 'cores: 8' (see docs/cluster.md)")
    return settings
