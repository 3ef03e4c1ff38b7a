"""Steps: what a method yields while it solves a problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    # The viewer knows of stages before torch is imported.
    from torch import Tensor


@final
@dataclass(frozen=True, kw_only=True)
class Step:
    """The state after one iteration. Its tensors are detached, stay on their device and never change later.

    Reading a value (``float(step.loss)``) waits for the device: whoever displays it pays for it.

    Parameters
    ----------
    number, total : int
        This iteration, counted from 1, and the most there can be.
    loss : Tensor, 0-d
        Misfit of this iteration on the pixels that are fitted.
    criterion : Tensor, 0-d, or None
        What decides the stop (smaller is better): held-out error or windowed variance. None if nothing does.
    criterion_name : str
        What the criterion is, for people; empty if nothing decides.
    chosen : Tensor, 0-d int64
        The iteration of the best image so far: ``image`` is that, or a mean in which it counts most.
    image : Tensor, (1, C, *S)
        The answer if the caller stops here.
    deviation : Tensor, (1, C, *S), or None
        Standard deviation of that image between the members of an ensemble; None if there is only one.
    remark : str
        What is to be known of how the image was made, a sentence for people; mostly empty.
    """

    number: int
    total: int
    loss: Tensor
    criterion: Tensor | None
    criterion_name: str
    chosen: Tensor
    image: Tensor
    deviation: Tensor | None = None
    remark: str = ""
