"""Train a multi-task GAN: ``python train.py`` runs conf/default.yaml; see ``--help``."""

import sys

from lightning_mtgan.cli import main

if __name__ == "__main__":
    sys.exit(main())
