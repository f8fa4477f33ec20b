"""Configuration files, and keys of the command line, laid over each other key by key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lightning_mtgan.errors import UserError

FLAGS = ("--config", "-c")
OVERLAID = ("model", "data", "fidelity")
"""Groups whose keys reach into dictionaries and nested classes, which the parser cannot change singly."""


class _Loader(yaml.SafeLoader):
    """YAML as people write it: 1e-3 is a number (YAML 1.2), which PyYAML alone reads as text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def parse(text: str) -> Any:
    """A YAML text as plain values.

    Raises:
        yaml.YAMLError: If it is none.
        ValueError: If it holds a date that is none.
    """
    return yaml.load(text, Loader=_Loader)


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
        content = parse(path.read_text())
    except OSError as error:
        raise UserError(
            f"config file {path} cannot be read ({error.strerror}); give the path of a YAML file"
        ) from error
    except (yaml.YAMLError, ValueError) as error:  # the latter for a date that is none, and for other characters
        reason = " ".join(str(error).split())
        raise UserError(f"config file {path} is not valid YAML ({reason}); mend it there") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"config file {path} holds no keys; write `key: value` lines, as conf/default.yaml does")
    return content


def split(arguments: Sequence[str]) -> tuple[list[Path], dict[str, str], list[str]]:
    """The arguments in three parts, each in order: config files, overlaid keys, and all others.

    Raises:
        UserError: If a config flag or an overlaid key has no value.
    """
    files: list[Path] = []
    keys: dict[str, str] = {}
    others: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        flag, separator, value = argument.partition("=")
        is_key = flag == "--data" or (flag.startswith("--") and "." in flag and flag[2:].split(".")[0] in OVERLAID)
        if flag not in FLAGS and (not is_key or flag.endswith((".help", "+"))):
            others.append(argument)
            continue
        if not separator:
            following = next(rest, None)
            if following is None or following.startswith("--"):
                example = " conf/tasks.yaml" if flag in FLAGS else " VALUE"
                raise UserError(f"{flag} needs a value: {flag}{example}")
            value = following
        if flag in FLAGS:
            files.append(Path(value))
        else:
            keys[flag[2:]] = value
    return files, keys, others


def change(tree: Any, path: Sequence[str], value: Any) -> Any:
    """The tree with one key changed; a key of a class may be written without ``init_args``.

    A class name given for a class keeps no arguments of the old one.
    """
    if not path:
        if isinstance(tree, Mapping) and "class_path" in tree and isinstance(value, str):
            return overlay(tree, {"class_path": value})
        return overlay(tree, value)
    tree = dict(tree) if isinstance(tree, Mapping) else {"class_path": tree} if isinstance(tree, str) else {}
    key, *rest = path
    if "class_path" in tree and key not in ("class_path", "init_args", "dict_kwargs"):
        key, rest = "init_args", list(path)
    return {**tree, key: change(tree.get(key), rest, value)}


def merged(files: Sequence[Path], keys: Mapping[str, str]) -> dict[str, Any]:
    """All files laid over each other, the first at the bottom, and single keys on top.

    Raises:
        UserError: If a file or a value cannot be read.
    """
    content: dict[str, Any] = {}
    for file in files:
        content = overlay(content, read(file))
    for key, text in keys.items():
        try:
            value = parse(text)
        except (yaml.YAMLError, ValueError) as error:
            raise UserError(f"--{key} {text}: the value is not valid YAML; quote it") from error
        content = change(content, key.split("."), value)
    return content
