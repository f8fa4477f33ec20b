"""Imported once by the server that trainings are forked from: one tiny training fills every cache there is."""

from __future__ import annotations

import contextlib
import io
import tempfile

import torch

from lightning_mtgan.cli import main
from tests.conftest import SMALL

torch.set_num_threads(1)
with tempfile.TemporaryDirectory() as _folder, contextlib.redirect_stdout(io.StringIO()):
    main([*SMALL, f"--runs={_folder}", "--trainer.max_steps=1"])
