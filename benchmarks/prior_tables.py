"""The tables of ``priors.py``: the mean of every network over images and seeds, for each task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import machine
import numpy as np
from stopping import last_step

COLUMNS = (
    "| network | best | at step | at the stop | gap | worst gap | drop | runs |\n|---|---|---|---|---|---|---|---|"
)

CURVES = ("psnr", "answers", "errors")
"""What a line of a run has for every step: PSNR (dB) of the average and of the answer, held-out error."""


class Outcome(NamedTuple):
    """PSNR (dB) and number of the best step, PSNR of the answer, and what became of the best step."""

    best: float
    best_step: int
    stopped: float
    has_stopped: bool
    drop: float
    went_twice_as_far: bool


def outcome(ratios: Sequence[float], answers: Sequence[float], errors: Sequence[float], patience: int) -> Outcome:
    """Return what came of a fit, from the PSNR of every step, of the answer then, and the held-out error.

    The answer is a mean of many steps, which can be better than the best one.
    The drop is what was lost after twice the steps of the best image, or at the end if it came before.
    """
    best = int(np.argmax(ratios)) + 1
    end, has_stopped = last_step(errors, patience)
    later = ratios[min(2 * best, len(ratios)) - 1]
    return Outcome(
        ratios[best - 1], best, answers[end - 1], has_stopped, ratios[best - 1] - later, 2 * best <= len(ratios)
    )


def print_tables(lines: list[dict[str, Any]], networks: list[str], steps: int) -> None:
    """Print a Markdown table for each task, one of weights and times, and what they were measured on.

    Of a run with more steps only the first ``steps`` count.
    """
    rows = [
        line | outcome(*(line[name][:steps] for name in CURVES), line["patience"])._asdict()
        for line in lines
        if "network" in line
    ]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    comparable = {task: _comparable([row for row in rows if row["task"] == task]) for task in tasks}
    networks = [name for name in networks if all(_of(name, found) for found in comparable.values())]
    _print_overview(comparable, networks)
    for task, found in comparable.items():
        print(f"\n### {task}\n\n{COLUMNS}")
        for network in networks:
            print(line_of(network, _of(network, found)))
        images = {image: len({row["seed"] for row in found if row["image"] == image}) for image in _images(found)}
        print("\n" + ", ".join(f"{image}: seeds {seeds}" for image, seeds in images.items()))
    print()
    for facts in {line["machine"]["commit"]: line["machine"] for line in lines if "machine" in line}.values():
        print(machine.in_words(facts))


def _print_overview(rows: dict[str, list[dict[str, Any]]], networks: list[str]) -> None:
    """Print for each network what its stop gives for each task, what it lost to the best image, and what it costs."""
    tasks = list(rows)
    print(
        f"| network | {' | '.join(tasks)} | mean gap | worst gap | weights | ms a step |\n|{'---|' * (len(tasks) + 5)}"
    )
    without = [_mean(found, "without") for found in rows.values()]
    print(f"| no network | {' | '.join(f'{ratio:.2f}' for ratio in without)} | | | | |")
    for network in networks:
        of_network = [_of(network, found) for found in rows.values()]
        ratios = [_mean(found, "stopped") for found in of_network]
        runs = [row for found in of_network for row in found]
        gaps = [row["best"] - row["stopped"] for row in runs]
        milliseconds = 1000 * np.median([row["seconds a step"] for row in runs])
        print(
            f"| {network} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} | {np.mean(gaps):.2f} | {max(gaps):.2f} "
            f"| {runs[0]['weights']} | {milliseconds:.0f} |"
        )


def _comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the runs on images, and with seeds, for which there is one of every network."""
    networks = {row["network"] for row in rows}
    fitted: dict[tuple[str, int], set[str]] = {}
    for row in rows:
        fitted.setdefault((row["image"], row["seed"]), set()).add(row["network"])
    return [row for row in rows if fitted[row["image"], row["seed"]] == networks]


def _of(network: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["network"] == network]


def line_of(network: str, rows: list[dict[str, Any]]) -> str:
    """Return the line of a network: means over the images, of each the mean over its seeds; the worst gap of all."""
    gaps = [row["best"] - row["stopped"] for row in rows]
    # Of a run that did not go twice as far, the drop is that at its end: at least so much.
    least = "" if all(row["went_twice_as_far"] for row in rows) else "≥ "
    return (
        f"| {network} | {_mean(rows, 'best'):.2f} | {np.median([row['best_step'] for row in rows]):.0f} "
        f"| {_mean(rows, 'stopped'):.2f} | {_mean(rows, 'best') - _mean(rows, 'stopped'):.2f} | {max(gaps):.2f} "
        f"| {least}{_mean(rows, 'drop'):.2f} | {len(rows)} |"
    )


def _mean(rows: list[dict[str, Any]], name: str) -> float:
    """Return the mean over images: one of which more seeds were run counts as much as the others."""
    means = [np.mean([row[name] for row in rows if row["image"] == image]) for image in _images(rows)]
    return float(np.mean(means))


def _images(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["image"] for row in rows))
