"""Networks trained on four of five pictures, and applied to the fifth: beside interpolation and what needs no training.

    python benchmarks/training.py --data FOLDER [--test zebra,pepper] [--factors 2,4] [--epochs 80]
        [--ways unet,autoencoder] [--models FOLDER]

Super-resolution of the pictures ``sr/set14_*.png``, reduced by Pillow's bicubic: each is enlarged by a network that was
trained on the four others, of which one is held out and decides which weights are kept. PSNR and SSIM of the luminance
(ITU-R BT.601) without a border as wide as the factor, data range 255; HFEN of the luminance; processor seconds of the
training, and of applying the network. A model that lies in ``--models`` already is not trained again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from super_resolution import SPAN, _luminance, _psnr, _reduced

from napari_deep_prior import SuperResolve, TrainingImage, TrainingSettings, restore, train
from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.files import images as io
from napari_deep_prior.files.model_files import read_model, write_model
from napari_deep_prior.methods import TrainedNetwork
from napari_deep_prior.networks import Autoencoder, UNet
from napari_deep_prior.training.model import Model

PICTURES = ("barbara", "comic", "pepper", "ppt3", "zebra")

NETWORKS = {
    "unet": {"network": UNet(channels=(32, 64, 64))},
    "autoencoder": {"network": Autoencoder(), "correction": False},
    "autoencoder-correction": {"network": Autoencoder()},
}
"""Ways to train: a U-Net, and an autoencoder that draws the image itself or only a correction of the interpolation."""

UNTRAINED = {"back-projected": None, "zero-shot-sr": "zero-shot-sr"}
"""Ways without training on other pictures: bicubic interpolation that is made to agree with what was measured; ZSSR."""


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the pictures")
    parser.add_argument("--test", default=",".join(PICTURES), help="which of them are enlarged")
    parser.add_argument("--factors", default="2,4")
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--ways", default="unet", help=", ".join([*NETWORKS, *UNTRAINED]))
    parser.add_argument("--models", type=Path, help="where trained networks are kept")
    options = parser.parse_args()
    pictures = {name: io.read(options.data / "sr" / f"set14_{name}.png").pixels for name in PICTURES}
    columns = f"{'PSNR':>6} {'SSIM':>6} {'HFEN':>6} {'gain':>6} {'seconds':>14}"
    print(f"{'picture':9} {'factor':>6}  {'enlarged by':23} {columns}")
    for factor in map(int, options.factors.split(",")):
        for name in options.test.split(","):
            _measure(pictures, name, factor, options)


def _measure(pictures: dict[str, Array], name: str, factor: int, options: argparse.Namespace) -> None:
    truth = pictures[name]
    rows, columns = (length - length % factor for length in truth.shape[:2])
    truth = truth[:rows, :columns]
    small, task = _reduced(truth, factor), SuperResolve(factor=float(factor))
    before = restore(small, task, axes="YXS").image
    _tell(name, factor, "bicubic", before, before, truth, "")
    for way in options.ways.split(","):
        began = time.process_time()
        if way in UNTRAINED:
            image, seconds = _untrained(small, task, way), f"{time.process_time() - began:.1f}"
        else:
            model = _model(pictures, name, factor, way, options)
            trained, began = time.process_time() - began, time.process_time()
            image = restore(small, task, TrainedNetwork(compare=False), model=model, axes="YXS").finish()
            seconds = f"{trained:.0f} + {time.process_time() - began:.1f}"
        _tell(name, factor, way, image, before, truth, seconds)


def _untrained(small: Array, task: SuperResolve, way: str) -> Array:
    if way == "zero-shot-sr":
        return restore(small, task, way, axes="YXS").finish()
    operator = task.operator("YX", None)
    measured = torch.from_numpy(np.moveaxis(small.astype(np.float32), -1, 0))[None]
    image = operator.interpolate(measured)
    for _ in range(3):
        image = image + operator.interpolate(measured - operator(image))
    return np.clip(np.rint(np.moveaxis(image[0].numpy(), 0, -1)), 0, 255).astype(np.uint8)


def _model(pictures: dict[str, Array], name: str, factor: int, way: str, options: argparse.Namespace) -> Model:
    """Return the network that was trained on all pictures but one."""
    kept = None if options.models is None else options.models / f"{way}_{name}_x{factor}.safetensors"
    if kept is not None and kept.exists():
        return read_model(str(kept))
    others = [TrainingImage(name=each, pixels=pixels, axes="YXS") for each, pixels in pictures.items() if each != name]
    settings = TrainingSettings(epochs=options.epochs, crop=96, validate=0.25, **NETWORKS[way])
    run = train(others, SuperResolve(factor=float(factor)), settings)
    for _ in run:
        pass
    if kept is not None:
        write_model(str(kept), run.model)
    return run.model


def _tell(name: str, factor: int, way: str, image: Array, before: Array, truth: Array, seconds: str) -> None:
    inside = (slice(factor, -factor),) * 2
    one, true = (_luminance(each)[inside] for each in (image, truth))
    gain = _psnr(image, truth, factor) - _psnr(before, truth, factor)
    scores = (
        f"{_psnr(image, truth, factor):6.2f} {metrics.ssim(one, true, span=SPAN):6.4f} {metrics.hfen(one, true):6.4f}"
    )
    print(f"{name:9} {factor:6}  {way:23} {scores} {gain:+6.2f} {seconds:>14}", flush=True)


if __name__ == "__main__":
    main()
