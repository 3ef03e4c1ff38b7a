"""Whether a change of the code changes results: a hash of the result of every task, method and effort.

    python benchmarks/result_hashes.py --write before.json      # before the change
    python benchmarks/result_hashes.py --compare before.json    # after it, on the same machine

Generated images of some 40 × 40 pixels, few steps, one thread. Hashes hold for one kind of processor and one version of
PyTorch. The exit code is 1 if a result differs.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from ways import without_model

from napari_deep_prior import Method, Restoration, restore
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.runs.efforts import TABLE
from napari_deep_prior.settings import replace_flat
from napari_deep_prior.tasks import TASKS, SuperResolve

FEW = {"steps": 6, "crop": 24, "examples": 2, "passes": 3}
"""Settings that keep a run short; everything else is as in the table of efforts."""

CAMERA = Camera()


def main() -> int:
    """Write the hashes, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--write", type=Path)
    group.add_argument("--compare", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for name, run in _runs():
        found[name] = _hash(run.finish())
        print(f"{name:60} {found[name]}", flush=True)
    if options.write:
        options.write.write_text(json.dumps(found, indent=1))
        return 0
    before = json.loads(options.compare.read_text())
    changed = [name for name in found if before.get(name, found[name]) != found[name]]
    new, gone = sorted(set(found) - set(before)), sorted(set(before) - set(found))
    print(f"\n{len(found)} results; changed: {changed or 'none'}; new: {new or 'none'}; gone: {gone or 'none'}")
    return bool(changed)


def _runs() -> Iterator[tuple[str, Restoration]]:
    """Yield every run with a name: the table of efforts on a plane, and some arrays of other axes."""
    for command, methods in TABLE.items():
        for method, efforts in without_model(methods).items():
            for effort, settings in efforts.items():
                inputs = _inputs(command)
                yield f"{command}/{method}/{effort}", _run(command, settings, **inputs)
    denoise = TABLE["denoise"]["nl-ridge"]["fast"]
    stack, volume = _exposed((3, 26, 24)), _exposed((5, 26, 24))
    yield "denoise a time lapse", restore(stack, TASKS["denoise"](), denoise, axes="TYX", device="cpu")
    yield "denoise colours", restore(_colours(), TASKS["denoise"](), denoise, axes="YXS", device="cpu")
    prior = replace_flat(TABLE["denoise"]["deep-image-prior"]["balanced"], FEW)
    yield "denoise a volume", restore(volume, TASKS["denoise"](), prior, axes="ZYX", volume=True, device="cpu")
    zero_shot = replace_flat(TABLE["super-resolve"]["zero-shot-sr"]["balanced"], FEW)
    deeper = SuperResolve(factor=1.0, z_factor=2.0)
    yield "enlarge a volume", restore(volume, deeper, zero_shot, axes="ZYX", volume=True, device="cpu")
    estimated = SuperResolve(blur="estimated")
    smooth = gaussian_filter(cells((64, 60)), 0.7).astype(np.float32)
    yield "enlarge with an estimated blur", restore(smooth, estimated, zero_shot, device="cpu")


def _run(command: str, settings: Method, **inputs: Any) -> Restoration:
    image = _jpeg() if command == "remove-artifacts" else _exposed((45, 38))
    return restore(image, TASKS[command](), replace_flat(settings, FEW), device="cpu", dtype="float32", **inputs)


def _inputs(command: str) -> dict[str, Any]:
    if command == "inpaint":
        mask = np.random.default_rng(5).random((45, 38)) < 0.1
        mask[20:23] = True
        return {"mask": mask}
    return {"guide": np.roll(np.sqrt(cells((45, 38))), (2, -1), axis=(0, 1))} if command == "guide" else {}


def _exposed(shape: tuple[int, ...]) -> np.ndarray:
    return CAMERA.expose(cells(shape), np.random.default_rng(1))


def _colours() -> np.ndarray:
    planes = [cells((34, 30), seed=seed) for seed in (6, 7, 8)]
    noisy = 4 * np.stack(planes, axis=-1) + np.random.default_rng(0).normal(0, 8, (34, 30, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _jpeg() -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(_colours()[:32, :24, 0]).save(file, "JPEG", quality=15)
    return np.asarray(Image.open(file))


def _hash(image: np.ndarray) -> str:
    return f"{image.dtype} {image.shape} {hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()[:16]}"


if __name__ == "__main__":
    sys.exit(main())
