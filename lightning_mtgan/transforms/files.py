"""Transforms by name, and in YAML files that anyone can change and share.

A file names a class and its arguments, as the configurations of trainings do::

    class_path: lightning_mtgan.transforms.Pipeline
    init_args:
      transforms:
      - class_path: lightning_mtgan.transforms.WhiteBalance
        init_args: {amount: 0.8}
      - class_path: lightning_mtgan.transforms.CLAHE
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml

from lightning_mtgan import config_files
from lightning_mtgan.errors import UserError
from lightning_mtgan.transforms.auto_contrast import AutoContrast
from lightning_mtgan.transforms.building import built, described
from lightning_mtgan.transforms.clahe import CLAHE
from lightning_mtgan.transforms.contrast import Contrast
from lightning_mtgan.transforms.equalisation import HistogramEqualisation
from lightning_mtgan.transforms.gamma import Gamma
from lightning_mtgan.transforms.pipeline import Pipeline
from lightning_mtgan.transforms.saturation import Saturation
from lightning_mtgan.transforms.transform import Transform
from lightning_mtgan.transforms.unsharp_mask import UnsharpMask
from lightning_mtgan.transforms.white_balance import WhiteBalance
from lightning_mtgan.whole_files import write_whole

METHODS: dict[str, Callable[[], Transform]] = {
    Contrast.name: Contrast,
    Gamma.name: Gamma,
    Saturation.name: Saturation,
    UnsharpMask.name: UnsharpMask,
    WhiteBalance.name: WhiteBalance,
    HistogramEqualisation.name: HistogramEqualisation,
    CLAHE.name: CLAHE,
    AutoContrast.name: AutoContrast,
    Pipeline.name: Pipeline,
}
"""What a name on the command line stands for, at the amounts that are its class's defaults."""


def named(method: str) -> Transform:
    """The transform that ``--method`` asks for: a name, or the path of a YAML file.

    Raises:
        UserError: If it is neither, or there is a mistake in the file.
    """
    if method in METHODS:
        return METHODS[method]()
    if method.lower().endswith((".yaml", ".yml")):
        return read(Path(method))
    raise UserError(f"--method {method} is unknown; use {', '.join(METHODS)}, or the path of a .yaml file")


def read(path: Path) -> Transform:
    """The transform that a YAML file describes.

    Raises:
        UserError: If the file cannot be read, or there is a mistake in it.
    """
    content = config_files.read(path)
    try:
        return built(content)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def write(transform: Transform, path: Path) -> None:
    """Write a YAML file, whole or not at all, that ``read`` makes the same transform of."""
    write_whole(path, yaml.safe_dump(described(transform), sort_keys=False))
