"""Networks of the course."""

from .generative import Discriminator, Encoder, Generator, Velocity
from .networks import conv4, conv_net, conv_net_for, encoder_net, residual_net

__all__ = [
    "Discriminator",
    "Encoder",
    "Generator",
    "Velocity",
    "conv4",
    "conv_net",
    "conv_net_for",
    "encoder_net",
    "residual_net",
]
