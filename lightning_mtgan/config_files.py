"""Configuration files laid over each other, key by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lightning_mtgan.errors import UserError

FLAGS = ("--config", "-c")


def overlay(base: Any, top: Any) -> Any:
    """``top`` laid over ``base``: mappings are merged, everything else is replaced.

    Where ``top`` names another ``class_path``, the arguments of the old class are dropped.
    """
    if not isinstance(base, Mapping) or not isinstance(top, Mapping):
        return top
    if top.get("class_path", base.get("class_path")) != base.get("class_path"):
        return dict(top)
    return {**base, **{key: overlay(base[key], value) if key in base else value for key, value in top.items()}}


def read(path: Path) -> dict[str, Any]:
    """The content of a configuration file.

    Raises:
        UserError: If the file is missing or is not a mapping of keys in YAML.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(
            f"config file {path} cannot be read ({error.strerror}); give the path of a YAML file"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"config file {path} is not valid YAML ({reason}); mend it there") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"config file {path} holds no keys; write `key: value` lines, as conf/default.yaml does")
    return content


def split(arguments: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The config files among the arguments, and the other arguments, both in order."""
    files, others = [], []
    rest = iter(arguments)
    for argument in rest:
        flag, separator, value = argument.partition("=")
        if flag not in FLAGS:
            others.append(argument)
        elif separator:
            files.append(Path(value))
        else:
            following = next(rest, None)
            if following is None:
                raise UserError(f"{flag} needs a file; for example {flag} conf/tasks.yaml")
            files.append(Path(following))
    return files, others


def merged(files: Sequence[Path]) -> dict[str, Any]:
    """All files laid over each other, the first at the bottom."""
    content: dict[str, Any] = {}
    for file in files:
        content = overlay(content, read(file))
    return content
