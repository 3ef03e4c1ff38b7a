"""Networks trained on all pictures but one, and applied to that: beside interpolation and what needs no training.

    python benchmarks/training.py --data FOLDER [--set set14] [--test zebra,pepper] [--factors 2,4] [--epochs 80]
        [--ways unet,autoencoder] [--models FOLDER] [--pictures FOLDER]

Super-resolution of pictures that are reduced by Pillow's bicubic: five of Set14, or six averaged frames of fluorescence
microscopes, as they are or first reduced by two. Each is enlarged by a network that was trained on the others, without
those of the same sample; one of them is held out and decides which weights are kept. PSNR and SSIM of the luminance
(ITU-R BT.601) without a border as wide as the factor, data range 255; HFEN of the luminance; processor seconds of the
training, and of applying the network. Above stands the PSNR that would be reached if all but the noise of a picture
that was not reduced before were restored. A model that lies in ``--models`` already is not trained again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.fft import dctn
from super_resolution import SPAN, _luminance, _psnr, _reduced

from napari_deep_prior import SuperResolve, TrainingImage, TrainingSettings, restore, train
from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.files import images as io
from napari_deep_prior.files.model_files import read_model, write_model
from napari_deep_prior.methods import TrainedNetwork
from napari_deep_prior.networks import ENLARGING_AUTOENCODER, Autoencoder, Plain, UNet
from napari_deep_prior.training.model import Model


class Picture(NamedTuple):
    """A file, and the sample that it shows."""

    file: str
    sample: str


SET14 = {name: Picture(f"sr/set14_{name}.png", name) for name in ("barbara", "comic", "pepper", "ppt3", "zebra")}
FLUORESCENCE = {
    "fish": Picture("denoise/confocal_fish_gt.tif", "fish"),
    "fish-2": Picture("denoise/fmd_fish3_gt.tif", "fish"),
    "mice": Picture("denoise/confocal_mice_gt.tif", "mice"),
    "w2s-020": Picture("denoise/w2s_020_1_gt.tif", "020"),
    "w2s-044": Picture("denoise/w2s_044_0_gt.tif", "044"),
    "w2s-077": Picture("denoise/w2s_077_2_gt.tif", "077"),
}
SETS = {"set14": (SET14, 1), "fluorescence": (FLUORESCENCE, 1), "fluorescence-half": (FLUORESCENCE, 2)}
"""Pictures by name, and the factor by which they are reduced before anything else."""

CORNER = 0.8
"""Share of the rows and columns of a spectrum after which it shows hardly more than the noise of a picture."""

NETWORKS = {
    "unet": {"network": UNet(channels=(32, 64, 64))},
    "autoencoder": {"network": ENLARGING_AUTOENCODER},
    "autoencoder-image": {"network": ENLARGING_AUTOENCODER, "correction": False},
    "autoencoder-8": {"network": Autoencoder()},
    "autoencoder-8-image": {"network": Autoencoder(), "correction": False},
    "plain": {"network": Plain(channels=(48,) * 7)},
}
"""Ways to train: a U-Net; the autoencoder that enlarges, and that of all other tasks, whose code has a pixel for 8 × 8,
each of which draws a correction of the interpolation or the image itself; the network of zero-shot super-resolution."""

UNTRAINED = {"back-projected": None, "zero-shot-sr": "zero-shot-sr"}
"""Ways without training on other pictures: bicubic interpolation that is made to agree with what was measured; ZSSR."""


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the pictures")
    parser.add_argument("--set", choices=SETS, default="set14", help="which pictures")
    parser.add_argument("--test", default="", help="which of them are enlarged; default all")
    parser.add_argument("--factors", default="2,4")
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--ways", default="unet", help=", ".join([*NETWORKS, *UNTRAINED]))
    parser.add_argument("--models", type=Path, help="where trained networks are kept")
    parser.add_argument("--pictures", type=Path, help="where the enlarged pictures are written")
    options = parser.parse_args()
    files, reduction = SETS[options.set]
    pictures = {name: _reduced(io.read(options.data / each.file).pixels, reduction) for name, each in files.items()}
    columns = f"{'PSNR':>6} {'SSIM':>6} {'HFEN':>6} {'gain':>6} {'seconds':>14}"
    print(f"{'picture':9} {'factor':>6}  {'enlarged by':23} {columns}")
    for factor in map(int, options.factors.split(",")):
        for name in options.test.split(",") if options.test else files:
            others = {each: pictures[each] for each in files if files[each].sample != files[name].sample}
            _measure(pictures[name], others, (name, files[name].sample), factor, options)


def _measure(
    truth: Array, others: dict[str, Array], names: tuple[str, str], factor: int, options: argparse.Namespace
) -> None:
    name, sample = names
    rows, columns = (length - length % factor for length in truth.shape[:2])
    truth = truth[:rows, :columns]
    small, task = _reduced(truth, factor), SuperResolve(factor=float(factor))
    before = restore(small, task, axes=_axes(truth)).image
    if SETS[options.set][1] == 1:
        # A picture that was reduced has lost the noise of its finest frequencies, by which it could be told.
        print(f"{name:9} {factor:6}  {'all but its noise':23} {ceiling(truth, factor):6.2f}")
    _tell(name, factor, "bicubic", before, before, truth, "")
    for way in options.ways.split(","):
        began = time.process_time()
        if way in UNTRAINED:
            image, seconds = _untrained(small, task, way), f"{time.process_time() - began:.1f}"
        else:
            model = _model(others, sample, factor, way, options)
            trained, began = time.process_time() - began, time.process_time()
            image = restore(small, task, TrainedNetwork(compare=False), model=model, axes=_axes(small)).finish()
            seconds = f"{trained:.0f} + {time.process_time() - began:.1f}"
        _tell(name, factor, way, image, before, truth, seconds)
        if options.pictures is not None:
            options.pictures.mkdir(parents=True, exist_ok=True)
            file = options.pictures / f"{options.set}_{name}_x{factor}_{way}.tif"
            io.write(file, io.ImageFile(pixels=image, axes=_axes(image)), overwrite=True)


def _axes(image: Array) -> str:
    return "YXS" if image.ndim == 3 else "YX"


def ceiling(truth: Array, factor: int) -> float:
    """Return the PSNR (dB) of the picture without the part of its noise that a smaller one cannot show.

    Of white noise, which has the power of the picture's finest frequencies.
    """
    spectrum = dctn(_luminance(truth), norm="ortho")
    finest = spectrum[tuple(slice(int(CORNER * length), None) for length in spectrum.shape)]
    return float(10 * np.log10(SPAN**2 / (np.mean(finest**2) * (1 - 1 / factor**2))))


def _untrained(small: Array, task: SuperResolve, way: str) -> Array:
    if way == "zero-shot-sr":
        return restore(small, task, way, axes=_axes(small)).finish()
    operator = task.operator("YX", None)
    values = np.moveaxis(np.atleast_3d(small).astype(np.float32), -1, 0)
    measured = torch.from_numpy(values)[None]
    image = operator.interpolate(measured)
    for _ in range(3):
        image = image + operator.interpolate(measured - operator(image))
    pixels = np.moveaxis(image[0].numpy(), 0, -1)
    return np.clip(np.rint(pixels), 0, SPAN).astype(np.uint8) if small.ndim == 3 else pixels[..., 0]


def _model(others: dict[str, Array], sample: str, factor: int, way: str, options: argparse.Namespace) -> Model:
    """Return the network that was trained on the other pictures."""
    kept = None if options.models is None else options.models / f"{options.set}_{way}_{sample}_x{factor}.safetensors"
    if kept is not None and kept.exists():
        return read_model(str(kept))
    images = [TrainingImage(name=each, pixels=pixels, axes=_axes(pixels)) for each, pixels in others.items()]
    settings = TrainingSettings(epochs=options.epochs, crop=96, validate=0.25, **NETWORKS[way])
    run = train(images, SuperResolve(factor=float(factor)), settings)
    for _ in run:
        pass
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
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
