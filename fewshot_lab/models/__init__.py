"""Networks of the course."""

from .networks import conv4, conv_net, encoder_net, residual_net

__all__ = ["conv4", "conv_net", "encoder_net", "residual_net"]
