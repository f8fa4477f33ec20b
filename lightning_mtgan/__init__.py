"""Multi-task GANs with PyTorch Lightning: one Game per paper, one module that plays them all."""

__version__ = "0.1.0"
