"""Networks of the course."""

from .networks import conv_net, residual_net

__all__ = ["conv_net", "residual_net"]
