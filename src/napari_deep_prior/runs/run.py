"""The function that begins a run."""

from __future__ import annotations

from typing import Unpack

from ..methods import Method
from ..tasks import Task
from .restoration import Restoration
from .run_options import RestoreOptions, split_options
from .setup import set_up, wish_for, with_executor
from .source import ArrayLike


def restore(
    image: ArrayLike,
    task: Task,
    method: str | Method = "auto",
    *,
    effort: str = "balanced",
    **options: Unpack[RestoreOptions],
) -> Restoration:
    """Return a run that restores ``image``: iterate it, or call :meth:`Restoration.finish`.

    Parameters
    ----------
    image : array
        Real numbers of any intensity scale; NumPy, dask or zarr. Two or more axes of any length.
    task : Task
        What is to be done, for example ``Denoise()``.
    method : str or Method
        How: "auto", a name such as "deep-image-prior" (see ``napari_deep_prior.METHODS``), or exact settings.
    effort : {"fast", "balanced", "best", "published"}
        How much time is spent; not with exact settings.
    axes : str, optional
        One letter per axis, such as "ZYX" or "TCYX" (see :mod:`napari_deep_prior.arrays.axes`); guessed if not given.
    volume : bool
        Restore Z, Y and X together, instead of plane by plane.
    separate_channels : bool
        Restore each channel (axis ``C``) by itself, as if it were an image of its own, instead of all of them together.
    mask : ndarray, optional
        For tasks that fill: not 0 where a pixel is missing. Of the image's shape, or of its planes or volumes.
    kernel : ndarray or Kernel, optional
        For tasks that enlarge: the blur, an image of it in pixels of the result, of as many axes as are restored
        together; or a kernel such as ``napari_deep_prior.files.kernels.parse_kernel`` returns.
    guide : ndarray or sequence of ndarray, optional
        Other images of the same place, which show where edges are; each of the image's shape, or of its volumes or
        planes, colours last. Every piece is restored without them and with them, and the better answer is kept.
    jpeg : JpegTables, optional
        For tasks that undo compression: what :func:`~napari_deep_prior.files.jpeg.read_tables` reads from the file.
    model : Model, optional
        A trained network that restores the image: of :func:`train`, or as
        :func:`~napari_deep_prior.files.model_files.read_model` returns it.
    device : str
        "auto", "cuda", "mps" or "cpu".
    dtype : {"same", "float32"}
        Type of the result's pixels. "same": the input's (integers are rounded and limited to their range), unless
        it would round away what is restored, as of an image with less than about three photons per pixel; then
        float32, and the record says so. Colours (axis ``S``) always keep their type.
    tile : int, optional
        Pixels along the sides of the tiles into which slices are cut; without it they are cut only where the run would
        not fit into the memory.
    memory : int or str, optional
        The most that the run may take besides the image and the result: bytes, or such as "4GiB". Without it, what is
        free.
    workers : int, optional
        Processes of this computer that restore slices or tiles at the same time; they share its cores.
    scheduler : str, optional
        Address of a dask scheduler, such as "tcp://host:8786": its workers restore slices or tiles.
    client : distributed.Client, optional
        The same, of any dask cluster. A step of a piece that a worker has restored has no image.
    diagnostics : bool
        Keep the residual and the uncertainty of every finished piece (see :attr:`Restoration.diagnostics`).

    Raises
    ------
    ValueError
        If the image, its axes, an input, the method or the device cannot be used.
    OutOfMemoryError
        If the run would not fit into the device's memory.

    Examples
    --------
    >>> for step in (run := restore(image, Denoise())):  # doctest: +SKIP
    ...     if step.number == 100:
    ...         break
    >>> run.image  # doctest: +SKIP
    """
    given, run_options = split_options(options)
    wish = wish_for(method, effort, volume=run_options.volume)
    setup = set_up(image, task, wish, given, run_options)
    workers, scheduler, client = run_options.workers, run_options.scheduler, run_options.client
    return Restoration(with_executor(setup, workers=workers, scheduler=scheduler, client=client))
