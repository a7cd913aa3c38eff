"""amsmail: a dial-on-demand mail server for places whose link is slow, metered and often gone."""

__version__ = "0.1.0"
