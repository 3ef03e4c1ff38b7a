"""The tables of ``priors.py``: the mean of every network over images and seeds, for each task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import machine
import numpy as np
from stopping import chosen_step

COLUMNS = (
    "| network | best | at step | at the stop | gap | worst gap | drop | runs |\n|---|---|---|---|---|---|---|---|"
)


class Outcome(NamedTuple):
    """PSNR (dB) and number of the best step, PSNR of the one that was chosen, and what became of the best one."""

    best: float
    best_step: int
    stopped: float
    has_stopped: bool
    drop: float
    went_twice_as_far: bool


def outcome(ratios: Sequence[float], errors: Sequence[float], patience: int) -> Outcome:
    """Return what came of a fit, from the PSNR and the held-out error of every step.

    The drop is what was lost after twice the steps of the best image, or at the end if it came before.
    """
    best = int(np.argmax(ratios)) + 1
    stop, has_stopped = chosen_step(errors, patience)
    later = ratios[min(2 * best, len(ratios)) - 1]
    return Outcome(
        ratios[best - 1], best, ratios[stop - 1], has_stopped, ratios[best - 1] - later, 2 * best <= len(ratios)
    )


def print_tables(lines: list[dict[str, Any]], networks: list[str], steps: int) -> None:
    """Print a Markdown table for each task, one of weights and times, and what they were measured on.

    Of a run with more steps only the first ``steps`` count.
    """
    rows = [line for line in lines if "network" in line]
    rows = [
        row | outcome(row["psnr"][:steps], row["errors"][:steps], row.get("patience", 100))._asdict() for row in rows
    ]
    for task in dict.fromkeys(row["task"] for row in rows):
        print(f"\n### {task}\n\n{COLUMNS}")
        of_task = [row for row in rows if row["task"] == task]
        once = {row["image"]: row["without"] for row in of_task}
        print(f"| no network | {np.mean(list(once.values())):.2f} | | | | | | {len(once)} |")
        for network in networks:
            if found := [row for row in of_task if row["network"] == network]:
                print(line_of(network, found))
    print("\n| network | weights | ms a step |\n|---|---|---|")
    for network in networks:
        if found := [row for row in rows if row["network"] == network]:
            seconds = np.median([row["seconds a step"] for row in found])
            print(f"| {network} | {found[0]['weights']} | {1000 * seconds:.0f} |")
    print()
    for found in {line["machine"]["commit"]: line["machine"] for line in lines if "machine" in line}.values():
        print(machine.in_words(found))


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
    images = dict.fromkeys(row["image"] for row in rows)
    return float(np.mean([np.mean([row[name] for row in rows if row["image"] == image]) for image in images]))
