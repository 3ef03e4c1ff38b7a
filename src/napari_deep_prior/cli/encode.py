"""The command that writes the code of an image: what a network sees in it."""

from __future__ import annotations

import argparse

from ..files.codes import name_of_colours, write_code
from ..files.model_files import read_model
from ..networks import RESIDUAL_NETWORKS
from ..runs.devices import DEVICES, describe_device, resolve_device
from ..runs.encode import OWN_NETWORK, encode
from .deliver import say
from .exit_codes import DONE
from .inputs import FileReader
from .options import refuse_empty
from .paths import refuse_files

COMMAND = "encode"

USAGE = f"deep-prior {COMMAND} [options] IN OUT"

SUMMARY = "Write what a network sees in an image: its code as channels, and the principal components of it in colours."

DETAILS = (
    "OUT is the code (.tif), one channel for each feature; the colours go to the same name with .rgb.tif. Without a "
    "model a network is trained on the image itself, in about 15 s on one core. Where the sample looks the same, so do "
    "the colours."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments and options of the command."""
    add = parser.add_argument
    add("input", metavar="IN", help="TIFF, OME-TIFF, PNG or JPEG; each plane of a stack is encoded by itself")
    add("output", metavar="OUT", help="the code: a name that ends in .tif")
    add("--axes", help="one letter per axis of the image, such as ZYX or YXS (colour); default: as in the file")
    how = parser.add_argument_group("how").add_argument
    how("--model", metavar="MODEL", help="the network that deep-prior train has written (.safetensors)")
    how(
        "--network",
        choices=RESIDUAL_NETWORKS,
        metavar="NAME",
        help=f"the network that is trained on the image itself: {', '.join(RESIDUAL_NETWORKS)}; default: {OWN_NETWORK}",
    )
    how("--device", metavar="NAME", default=DEVICES[0], help=", ".join(DEVICES))
    how("--overwrite", action="store_true", help="replace an older code and its colours")


def run(options: argparse.Namespace) -> int:
    """Encode, and write the code and its colours; return DONE.

    Raises
    ------
    ValueError
        If something that was given cannot be used.
    RestorationError
        If the device fails.
    """
    refuse_empty(options, {"input": "IN", "output": "OUT"})
    if options.model is not None and options.network is not None:
        raise ValueError("both --model and --network were given: give the one or the other")
    inputs = [("input", options.input), *([] if options.model is None else [("model", options.model)])]
    refuse_files(inputs, [("code", options.output)], overwrite=options.overwrite)
    colours = name_of_colours(options.output)
    refuse_files(inputs, [("output", colours)], overwrite=options.overwrite)
    model = None if options.model is None else read_model(options.model)
    image = FileReader().image(options.input, axes=options.axes, turned=True)
    network = options.network or OWN_NETWORK
    what = f"training {network} on the image" if model is None else f"the network of {options.model}"
    say(f"{what}; on {describe_device(resolve_device(options.device))}")
    code = encode(image.pixels, model, axes=image.axes, network=network, device=options.device)
    write_code(options.output, code, image, overwrite=options.overwrite)
    say(f"{options.output}: {code.in_words()}")
    say(f"{colours}: the colours")
    return DONE
