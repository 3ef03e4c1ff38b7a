"""Traces: what nobody has told about an image, its blur or its compression, as far as the image itself shows it."""

from __future__ import annotations

from ..arrays.axes import Array
from ..estimation.blur import estimate_blur
from ..estimation.jpeg_tables import estimate_tables
from ..estimation.oversampling import oversampling
from ..physics.jpeg import JpegTables, tables_of_quality
from ..physics.operators import Downsample
from ..tasks import RemoveArtifacts, SuperResolve


def learned(
    task: SuperResolve, operator: Downsample, plane: Array, *, blur_known: bool = False
) -> tuple[Downsample, list[str]]:
    """Return the operator with what only the image can tell, and sentences for people.

    Parameters
    ----------
    plane : ndarray, (rows, columns)
        A plane of what is to be enlarged, its channels averaged.
    blur_known : bool
        Whether the operator has its blur from elsewhere, whatever the task says.
    """
    found = oversampling(plane)
    remarks = [found.sentence] if found.oversampled and max(operator.factors[-2:]) > 1 else []
    if len(operator.factors) == 3 and operator.factors[0] > 1:
        remarks.append("planes were made up by what the others show: right for cells and nuclei, not for layers")
    if task.blur != "estimated" or blur_known:
        return operator, remarks
    if len(operator.factors) != 2:
        return operator, [*remarks, "the blur of a volume cannot be estimated; the bicubic kernel is taken"]
    blur = estimate_blur(plane, (operator.factors[0], operator.factors[1]))
    return Downsample(operator.factors, blur.kernel), [*remarks, blur.sentence]


def compressed(task: RemoveArtifacts, image: Array, given: JpegTables | None) -> tuple[JpegTables | None, str]:
    """Return how an image was compressed, if it can be told, and a sentence for people.

    Parameters
    ----------
    image : ndarray, (rows, columns) or (rows, columns, channels)
        Grey levels, as they were decoded.
    given : JpegTables or None
        What its file tells.
    """
    if task.quality is not None:
        return tables_of_quality(task.quality, colour=image.ndim == 3), f"taken for a JPEG of quality {task.quality}"
    if given is not None:
        return given, "how coarsely it was rounded is told by the file"
    found = estimate_tables(image)
    if found is None:
        return None, "the image shows no trace of how it was compressed, and no file tells"
    return found, "how coarsely it was rounded was found in the image"
