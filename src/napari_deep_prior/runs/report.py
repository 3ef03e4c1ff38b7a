"""Every sentence that a run says to people, in the viewer, on the command line and in its record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays.axes import Array
from ..estimation.channels import Disagreement
from ..methods.guidance import CONFIDENCE, GuideComparison, GuideGain
from ..physics.noise_model import NoiseModel

if TYPE_CHECKING:
    from ..tasks import Task
    from .recommend import Choice
    from .record import Record

SLICE = "slice"
"""What a piece of an image is called, unless it is a tile."""

MOST_NAMED = 5
"""Slices that a sentence names at most."""

NEARLY_ALL = 0.97
"""Share of the error from which on the limit of what a guide can have removed says nothing: 15 dB and more."""

TASK_NAMES = {
    "denoise": "Denoise",
    "inpaint": "Inpaint",
    "super-resolve": "Super-resolve",
    "guide": "Guided reconstruction",
    "remove-artifacts": "Remove artefacts",
}
"""What tasks are called in sentences and in menus, by their commands."""

RESTORED_EARLIER = "an earlier run has restored it"
"""Why a slice is passed over."""

LONG = 2.0
"""Seconds from which the time that a stage has taken is worth a word."""

HARDLY = 0.05
"""Share of the error up to which its being the least that a guide can have removed says nothing: 0.2 dB."""

STRUCTURE = 0.08
"""Correlation of neighbouring residuals, beyond that of the noise, from which one can see structure in them."""

WEAK, STRONG = 0.7, 1.3
"""Variance of the residual, in units of the noise's, outside of which too little or too much was taken away."""


def noise_in_words(channels: Sequence[NoiseModel], misfit: str = "") -> str:
    """Return a sentence on the noise; channels of the same noise are named once."""
    if misfit == "quantised":
        return "what a JPEG's rounding took"
    words = list(dict.fromkeys(model.in_words() for model in channels))
    return "; ".join(words) if words else "noise not estimated"


def noise_sentence(channels: Sequence[NoiseModel], misfit: str = "") -> str:
    """Return what a run thinks of the noise, its doubts included: said before the run, in the dock and on the line."""
    return f"Noise: {noise_in_words(channels, misfit)}."


def objection_in_words(clause: str) -> str:
    """Return a sentence on a noise that was given and that the image speaks against."""
    return f"the noise that was given is hardly true: {clause}"


def disagreement_in_words(found: Disagreement) -> str:
    """Return a sentence on two planes that cannot have the noise of one camera."""
    return (
        f"the slices disagree about the noise: at {_place(found.strong)} it is {found.ratio:.1f} times as strong as at "
        f"{_place(found.weak)}, with the same brightness; all are restored with the noise of most"
    )


def neighbours_in_words(count: int, axes: str) -> str:
    """Return a sentence on the neighbours with which pieces are averaged."""
    what = "frames" if "T" in axes else "planes"
    return f"each slice is averaged with up to {2 * count} neighbouring {what} where they show the same"


def _place(place: Mapping[str, int]) -> str:
    """Return where a plane is in a stack, as people count."""
    return " and ".join(f"{letter} {index + 1}" for letter, index in place.items())


def type_in_words(given: np.dtype[Any], taken: np.dtype[Any]) -> str:
    """Return a sentence on a result that has another type than the input."""
    return f"the result is {taken}: {given} would round away the light between two grey levels"


def rounding_in_words(dtype: np.dtype[Any], means: Mapping[int, tuple[float, float]], *, count: int) -> str:
    """Return a sentence on slices whose light was too faint for whole numbers; empty if there are none.

    Parameters
    ----------
    means : mapping of int to (float, float)
        Of each of them, counted from 0, the mean of its darkest plane before and after it was rounded.
    count : int
        Slices of the whole array.
    """
    if not means:
        return ""
    place = _slices([number + 1 for number in sorted(means)]) if count > 1 else "a part of the image"
    return _too_faint(f"of {place}", dtype, "has made", min(means.values(), key=lambda pair: abs(pair[0])))


def rounding_ahead_in_words(dtype: np.dtype[Any], place: Mapping[str, int], means: tuple[float, float]) -> str:
    """Return a sentence, before the run, on the darkest plane of which the light is too faint for whole numbers."""
    return _too_faint(f"at {_place(place)}", dtype, "may make", means)


def _too_faint(where: str, dtype: np.dtype[Any], makes: str, means: tuple[float, float]) -> str:
    return (
        f"the light {where} is too faint for {dtype}: rounding {makes} a mean of {means[0]:.2g} grey levels "
        f"{means[1]:.2g}; to keep it, choose float32 as the type of the result, or convert the image to floating "
        "point first"
    )


def _slices(numbers: Sequence[int]) -> str:
    """Return slices by their numbers, of many the first ones."""
    words = [*map(str, numbers)]
    if len(words) > MOST_NAMED:
        words[MOST_NAMED - 1 :] = [f"{len(words) - MOST_NAMED + 1} more"]
    return f"slice {words[0]}" if len(words) == 1 else f"slices {', '.join(words[:-1])} and {words[-1]}"


def guide_in_words(comparison: GuideComparison, placed: str) -> str:
    """Return a sentence on where guides lay and what they were worth."""
    if comparison.gain is None:
        verdict = "whether the guide helped was not compared"
    elif not comparison.helped:
        verdict = "the guide did not help more than chance would: the result is without it"
    else:
        verdict = _gain_in_words(comparison.gain)
    return "; ".join(filter(None, (placed, verdict)))


def _gain_in_words(gain: GuideGain) -> str:
    """Return a clause on what a guide that helped was worth; the limits are two standard errors away."""
    lowest, found, highest = (gain.share(deviations) for deviations in (-CONFIDENCE, 0.0, CONFIDENCE))
    of_what = "the error above the noise" if gain.above_noise else "the error of held-out pixels, noise included"
    if highest > NEARLY_ALL and lowest < HARDLY:
        limits = f"{max(0.0, gain.saved - CONFIDENCE * gain.saved_deviation):.1%} to "
        limits += f"{gain.saved + CONFIDENCE * gain.saved_deviation:.1%}"
        what = f"{gain.saved:.1%} of the noise's variance ({limits})"
        return f"the guide helped by {what}: what is left is too small to tell"
    if highest > NEARLY_ALL:
        least = min(lowest, NEARLY_ALL)
        return f"the guide helped by at least {_decibels(least):.1f} dB: it removed {least:.0%} or more of {of_what}"
    limits = f"{_decibels(lowest):.1f} to {_decibels(highest):.1f}"
    return f"the guide helped by {_decibels(found):.1f} dB ({limits}): it removed {found:.0%} of {of_what}"


def _decibels(share: float) -> float:
    """Return the decibels by which an error is smaller when a share of its square is removed."""
    return -10 * math.log10(max(1 - share, 1 - NEARLY_ALL))


def agreement_in_words(decibels: Sequence[float]) -> str:
    """Return a sentence on how well enlarged pieces explain what was measured; empty if there is none."""
    if not decibels:
        return ""
    span = " to ".join(dict.fromkeys(f"{limit:.0f}" for limit in (min(decibels), max(decibels))))
    return f"made as coarse again, the result is {span} dB from the image"


def residual_in_words(values: Array, noise: Sequence[NoiseModel]) -> str:
    """Return a sentence on the residual of a plane or volume, (..., rows, columns); empty if it cannot be judged."""
    if min(values.shape[-2:]) < 2 or not values.any():
        return ""
    centred = values - values.mean()
    variance = float(np.mean(centred**2))
    down = float(np.mean(centred[..., 1:, :] * centred[..., :-1, :])) / variance
    right = float(np.mean(centred[..., :, 1:] * centred[..., :, :-1])) / variance
    expected = max((max(model.correlation) for model in noise), default=0.0)
    seen = f"neighbours correlate by {down:.2f} and {right:.2f}, the variance is {variance:.2f} of the noise's"
    if max(down, right) - expected > STRUCTURE:
        return f"structure was removed: {seen}"
    if variance > STRONG:
        return f"more than the noise was removed: {seen}"
    if variance < WEAK:
        return f"some noise was left: {seen}"
    return f"the residual looks like noise: {seen}"


def plan_in_words(choice: Choice, *, seconds: float, memory: int) -> str:
    """Return a sentence on what will run, why, about how long, and with how much memory."""
    name = choice.method.in_words()
    why = choice.instead.partition(":")[0] if choice.instead else choice.reason
    guided = ", without and with the guide" if choice.guided is not None else ""
    return f"{name}{guided}{f': {why}' if why else ''}; about {duration(seconds)}, {size(memory)} of memory"


def done_in_words(record: Record, *, steps: int, total: int, stopped: bool) -> str:
    """Return a clause on how a run ended."""
    if record.piece_count > 1:
        earlier = sum(note.endswith(RESTORED_EARLIER) for note in record.passed_through)
        restored = earlier + sum(step is not None for step in record.chosen_steps)
        return f"{restored} of {record.piece_count} {record.unit}s restored"
    chosen = record.chosen_steps[0]
    if stopped:
        made = f"stopped at step {steps} of at most {total}"
    elif steps < total:
        made = f"stopped by itself at step {steps} of at most {total}"
    else:
        made = "finished"
    if chosen == steps:
        return made
    if chosen == 1:
        return f"{made}; the first estimate is still the best one, and the result"
    return f"{made}; the best image is that of step {chosen}"


def progress_in_words(place: str, *, step: int, total: int, chosen: int, seconds_left: float | None) -> str:
    """Return a sentence on how far a run is, at a place; no time is named before it is known."""
    best = f", best so far: {'the first estimate' if chosen == 1 else f'step {chosen}'}" if chosen < step else ""
    left = "" if seconds_left is None else f", at most {duration(seconds_left)} left"
    return sentence(f"{place}step {step} of at most {total}{best}{left}")


def stage_in_words(place: str, stage: str, *, seconds: float) -> str:
    """Return a sentence on what a run does, at a place, where it makes no steps."""
    so_far = f" ({duration(seconds)} so far)" if seconds >= LONG else ""
    return sentence(f"{place}{stage} …{so_far}")


def place_in_words(piece: int, pieces: int, unit: str = SLICE) -> str:
    """Return at which piece a run is, for the beginning of a sentence; empty if there is only one."""
    return f"{unit} {piece} of {pieces}: " if pieces > 1 else ""


def outcome_in_words(record: Record, *, steps: int, total: int, stopped: bool, seconds: float) -> str:
    """Return sentences on how a run ended: how it was done, how long it took, and what is to be known of the result."""
    done = done_in_words(record, steps=steps, total=total, stopped=stopped)
    residuals = record.residuals if record.piece_count == 1 else []
    passed = [f"passed through unchanged: {note}" for note in passed_through(record)]
    noted = (*record.file_remarks, *record.remarks, *passed, *residuals)
    notes = "".join(f" {sentence(note)}." for note in noted if note)
    return f"{sentence(done)}; {duration(seconds)} on {record.device}.{notes}"


def sentence(text: str) -> str:
    """Return a text that begins with a capital letter."""
    return text[:1].upper() + text[1:]


def duration(seconds: float) -> str:
    """Return a time as people say it, no more exact than an estimate is."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s" if seconds < 10 else f"{round(seconds / 5) * 5} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def size(count: int) -> str:
    """Return an amount of memory as people say it."""
    if count >= 2**30:
        return f"{count / 2**30:.1f} GiB"
    return f"{round(count / 2**20)} MiB" if count >= 2**20 else f"{max(1, round(count / 2**10))} KiB"


def name_of_part(name: str, restored: int, count: int, unit: str = SLICE) -> str:
    """Return the name of an image of which only some pieces were restored."""
    return f"{name} ({restored} of {count} {unit}s)"


def repeatable_in_words(*same: str, threads: int) -> str:
    """Return a clause on what must be the same for the same settings and seed to give the same image."""
    count = "1 thread" if threads == 1 else f"{threads} threads"
    return f"the same settings and seed give the same image, bit for bit, with {', '.join((*same, count))}"


def name_of_result(name: str, task: Task) -> str:
    """Return a name for the restored version of something called ``name``."""
    return f"{name} {task.result}"


def passed_through(record: Record) -> list[str]:
    """Return which pieces were not restored, and why; those of the same reason are one note if they are many."""
    by_reason: dict[str, list[str]] = {}
    for note in record.passed_through:
        if note.endswith(RESTORED_EARLIER):
            continue
        name, _, reason = note.partition(": ")
        by_reason.setdefault(reason, []).append(name)
    lines = []
    for reason, names in by_reason.items():
        if len(names) <= MOST_NAMED:
            lines += [f"{name}: {reason}" for name in names]
        else:
            lines.append(f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more: {reason}")
    return lines
