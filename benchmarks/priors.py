"""Which network is a good prior: every network as the deep image prior, for four tasks, judged by the truth.

    python benchmarks/priors.py results/priors.jsonl [--data FOLDER] [--size 96] [--steps 300] [--seeds 0,1]
        [--networks hourglass,fcn] [--tasks denoise,holes] [--images cells] [--rate 0.003] [--minutes 60]
    python benchmarks/priors.py results/priors.jsonl --table

One line of JSON for every run is added to the file; what is in it already is not run again. The deep image prior has
the settings of "balanced", without similar patches, and goes on after it would have stopped: a run ends when it has
gone twice as far as its best image and the stop has decided, or after all steps. The truth is looked at here and
nowhere else. The fits are in float32, so that computers with bfloat16 give the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import machine
import torch
from pairs import DEFAULT_DATA
from prior_scenes import IMAGES, TASKS, Scene, scene_of, without_a_network
from prior_tables import CURVES, outcome, print_tables
from torch import Tensor

from napari_deep_prior import (
    Autoencoder,
    DeepImagePrior,
    EncoderDecoder,
    FCN8s,
    FCN16s,
    FCN32s,
    Hourglass,
    Network,
    UNet,
    settings_for,
)

NETWORKS: dict[str, Network] = {
    "hourglass": Hourglass(),
    "unet": UNet(),
    "encoder-decoder": EncoderDecoder(),
    "… transposed": EncoderDecoder(upsampling="transposed"),
    "… max-unpooling": EncoderDecoder(upsampling="max-unpooling"),
    "… nearest": EncoderDecoder(upsampling="nearest"),
    "… pixel-shuffle": EncoderDecoder(upsampling="pixel-shuffle"),
    "… strided": EncoderDecoder(downsampling="strided"),
    "… average-pooling": EncoderDecoder(downsampling="average-pooling"),
    "… dilated, no pooling": EncoderDecoder(
        channels=(16, 16, 16), bottleneck=16, downsampling="none", dilation=(1, 2, 4, 8)
    ),
    "autoencoder": Autoencoder(),
    "fcn-32s": FCN32s(),
    "fcn-16s": FCN16s(),
    "fcn-8s": FCN8s(),
}
"""By the name of the row; "…" is the encoder-decoder with another way up or down. It joins by concatenation, and has
max-pooling and bilinear upsampling where nothing else is said."""

FEWEST = 200
"""Steps before which no run ends: the first maximum need not be the largest."""


SMALLEST = 80
"""Pixels along a side below which too few measured ones are held out for ×2."""


class Run(NamedTuple):
    """What is measured at once."""

    task: str
    network: str
    image: str
    seed: int


def main() -> None:
    """Run what is not in the file yet, or print the tables of what is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="JSON lines to which the results are added")
    parser.add_argument("--table", action="store_true", help="print the tables of the file, and run nothing")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with a folder denoise/ of pairs")
    parser.add_argument("--size", type=int, default=96, help="pixels along a side")
    parser.add_argument("--steps", type=int, default=300, help="most steps of a run, and of what the tables count")
    parser.add_argument("--seeds", default="0,1", help="comma separated")
    for name in ("networks", "tasks", "images"):
        parser.add_argument(f"--{name}", default="", help="parts of their names, comma separated; default all")
    parser.add_argument(
        "--rate", type=float, help="of the optimizer, in a file of its own; before the share that a network takes of it"
    )
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no run after this time")
    options = parser.parse_args()
    if options.size < SMALLEST:
        parser.error(f"--size is {options.size}: too few pixels can be held out; give {SMALLEST} or more")
    if not options.table:
        _measure_all(options)
    print_tables(lines_of(options.file), list(NETWORKS), options.steps)


def _measure_all(options: argparse.Namespace) -> None:
    options.file.parent.mkdir(parents=True, exist_ok=True)
    done = {Run(*(row[name] for name in Run._fields)) for row in lines_of(options.file) if "network" in row}
    facts = machine.facts()
    began = time.monotonic()
    with options.file.open("a", encoding="utf-8") as file:
        # What a stopped run has not written to its end becomes a line of its own.
        file.write(("\n" if _is_unfinished(options.file) else "") + json.dumps({"machine": facts}) + "\n")
        for run in _runs(options):
            if run in done:
                continue
            if time.monotonic() - began > 60 * options.minutes:
                return
            scene = scene_of(options.data, run.image, run.task, options.size)
            row = run._asdict() | _measure(scene, run, options.steps, options.rate)
            file.write(json.dumps(row) + "\n")
            file.flush()
            found = outcome(*(row[name] for name in CURVES), row["patience"])
            print(*run, f"best {found.best:.2f} @ {found.best_step}, at the stop {found.stopped:.2f}", flush=True)


def _runs(options: argparse.Namespace) -> Iterator[Run]:
    """Yield all runs: each image once with every network and task, then again with the next seed."""
    tasks, networks, images = (
        [name for name in known if not wanted or any(part in name for part in wanted.split(","))]
        for known, wanted in ((TASKS, options.tasks), (NETWORKS, options.networks), (IMAGES, options.images))
    )
    for seed, image, task, network in itertools.product(options.seeds.split(","), images, tasks, networks):
        yield Run(task, network, image, int(seed))


def _measure(scene: Scene, run: Run, steps: int, rate: float | None) -> dict[str, Any]:
    """Fit a network; return the PSNR and the held-out error of every step, and what else the tables need."""
    usual = settings_for(scene.task, "deep-image-prior")
    assert isinstance(usual, DeepImagePrior)
    network = NETWORKS[run.network]
    usual = dataclasses.replace(usual, rate=rate or usual.rate, patches=False)
    prior = dataclasses.replace(
        usual, network=network, seed=run.seed, steps=steps, patience=steps, precision="float32", stop="held-out"
    )
    watched = scene.watched()
    fit = prior.fit(watched.problem)
    ratios: list[float] = []
    answers: list[float] = []
    errors: list[float] = []
    seconds = 0.0
    while len(ratios) < steps:
        began = time.process_time()
        step = next(fit)
        seconds += time.process_time() - began
        ratios.append(scene.psnr(watched.average))
        answers.append(scene.psnr(step.image))
        errors.append(float(step.criterion))
        found = outcome(ratios, answers, errors, usual.patience)
        if found.has_stopped and len(ratios) >= FEWEST and found.went_twice_as_far:
            break
    return {
        "weights": _weights(prior, watched.problem.measured),
        "seconds a step": seconds / len(ratios),
        "without": without_a_network(scene),
        "size": scene.truth.shape[0],
        "patience": usual.patience,
        "rate": usual.rate * network.prior_rate_factor,
        "psnr": [round(ratio, 3) for ratio in ratios],
        "answers": [round(ratio, 3) for ratio in answers],
        "errors": [float(f"{error:.6g}") for error in errors],
    }


def _weights(prior: DeepImagePrior, measured: Tensor) -> int:
    shape = tuple(measured.shape[2:])
    module = prior.network.build(inputs=prior.code_channels, outputs=1, shape=shape, device=torch.device("meta"))
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)


def _is_unfinished(file: Path) -> bool:
    text = file.read_text(encoding="utf-8")
    return bool(text) and not text.endswith("\n")


def lines_of(file: Path) -> list[dict[str, Any]]:
    """Return the lines of a file; a last one that was not written to its end does not count."""
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("}\n")]


if __name__ == "__main__":
    main()
