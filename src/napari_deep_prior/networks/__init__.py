"""Networks: the structure that turns weights into an image. The form and the command line offer those of NETWORKS.

To add a network, write one file with a subclass of :class:`.network.Network` and add one row here.
"""

from .encoder_decoder import ENLARGING_AUTOENCODER, Autoencoder, EncoderDecoder
from .fcn import FCN8s, FCN16s, FCN32s
from .hourglass import Hourglass
from .network import Network, ResidualNetwork
from .plain import Plain
from .unet import UNet

NETWORKS: dict[str, type[Network]] = {
    "hourglass": Hourglass,
    "unet": UNet,
    "plain": Plain,
    "encoder-decoder": EncoderDecoder,
    "autoencoder": Autoencoder,
    "fcn-32s": FCN32s,
    "fcn-16s": FCN16s,
    "fcn-8s": FCN8s,
}
"""All networks by name: each can be the network of the deep image prior."""

RESIDUAL_NETWORKS: dict[str, type[ResidualNetwork]] = {
    name: kind for name, kind in NETWORKS.items() if issubclass(kind, ResidualNetwork)
}
"""The networks that can be trained to correct images: by self-distillation and for zero-shot super-resolution."""

__all__ = [
    "ENLARGING_AUTOENCODER",
    "NETWORKS",
    "RESIDUAL_NETWORKS",
    "Autoencoder",
    "EncoderDecoder",
    "FCN8s",
    "FCN16s",
    "FCN32s",
    "Hourglass",
    "Network",
    "Plain",
    "ResidualNetwork",
    "UNet",
]
