"""What a run is told besides task, method and inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final, get_args

from ..physics.noise_model import NoiseModel
from ..tasks.inputs import INPUTS, GivenInputs
from .tiling import bytes_of

ResultType = Literal["same", "float32"]


class RestoreOptions(GivenInputs, total=False):
    """Keywords of :func:`napari_deep_prior.restore`."""

    axes: str | None
    volume: bool
    separate_channels: bool
    device: str
    dtype: ResultType
    diagnostics: bool
    tile: int | None
    memory: int | str | None
    workers: int | None
    scheduler: str | None
    client: Any


@final
@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a run is told besides task, method and inputs (see :func:`napari_deep_prior.restore`)."""

    axes: str | None = None
    volume: bool = False
    separate_channels: bool = False
    """Whether channels are restored one by one, each as if it were an image of its own."""
    device: str = "auto"
    dtype: ResultType = "same"
    diagnostics: bool = False
    file_remarks: tuple[str, ...] = ()
    """What is to be known of how the files were read, for the record."""
    source: str = ""
    """The identity of the file that the image was read from; empty if there is none."""
    noise: tuple[NoiseModel, ...] = ()
    """Of every channel, where it is known from a part of the image; else it is estimated."""
    in_memory: bool = True
    """Whether the result is an array in memory, and must fit there; else another output takes its place."""
    tile: int | None = None
    """Pixels along the sides of the tiles into which slices are cut."""
    memory: int | str | None = None
    """The most that the run may take besides image and result."""
    workers: int | None = None
    """Processes of this computer that restore the pieces."""
    scheduler: str | None = None
    """Address of a dask scheduler whose workers restore the pieces."""
    client: Any = None
    """A dask client whose workers restore the pieces."""

    def __post_init__(self) -> None:
        if self.memory is not None:
            bytes_of(self.memory)
        if self.dtype not in get_args(ResultType):
            raise ValueError(f"dtype is {self.dtype!r}; it must be one of {', '.join(map(repr, get_args(ResultType)))}")


def split_options(options: RestoreOptions) -> tuple[dict[str, Any], RunOptions]:
    """Return what was given besides the image, and how the run is to be made.

    Raises
    ------
    TypeError
        If there is no such keyword.
    """
    given = {name: value for name, value in options.items() if name in INPUTS}
    rest: dict[str, Any] = {name: value for name, value in options.items() if name not in INPUTS}
    return given, RunOptions(**rest)
