"""An unbroken, reproducible stream of random numbers from one producer to every worker."""

__version__ = "0.1.0"
