"""Weights of networks that other people publish."""

from __future__ import annotations

import pickle
import re
import socket
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import torch

from lightning_mtgan.errors import UserError

PATIENCE = 10.0
"""Seconds that a server may stay silent."""


@dataclass(frozen=True)
class Published:
    """Where the weights of a network are published.

    Args:
        url: Their address.
        file_name: Their name in torch.hub's cache, where torch-fidelity finds them, too.
        digest: How the file's SHA-256 begins.
    """

    url: str
    file_name: str
    digest: str

    def fetched(self, whose: str, key: str) -> Path:
        """The file in torch.hub's cache, downloaded if it is not there yet.

        Args:
            whose: What the weights are for, for the message.
            key: The key under which a person can name a file instead.

        Raises:
            UserError: If that fails, with the address and what to do instead.
        """
        path = Path(torch.hub.get_dir()) / "checkpoints" / self.file_name
        if path.exists():
            return path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with impatience():
                torch.hub.download_url_to_file(self.url, str(path), self.digest, progress=False)
        except (OSError, HTTPException, RuntimeError) as error:
            raise UserError(
                f"the weights of {whose} could not be downloaded from {self.url} ({reason_of(error)}); download "
                f"{Path(self.url).name} elsewhere and give its path as {key}, or put it at {path}"
            ) from error
        return path


@contextmanager
def impatience() -> Iterator[None]:
    """A server that does not answer is an error inside; torch.hub itself would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def reason_of(error: BaseException) -> str:
    """What an error says, in a few words."""
    if isinstance(error, pickle.UnpicklingError | EOFError):
        return "it is damaged or holds more than tensors"  # torch's own words advise to run the file's code
    if isinstance(error, KeyError):
        return f"it holds no {error.args[0]}"
    text = str(getattr(error, "reason", error))
    key = re.search(r"(Missing|Unexpected) key\(s\).*?\"(\S+?)\"", text)
    if key:
        return f"it holds no {key[2]}" if key[1] == "Missing" else f"it also holds {key[2]}"
    first = re.sub(r"^Error\(s\) in loading .*\n", "", text).strip().partition("\n")[0]
    return textwrap.shorten(first.partition(". ")[0].rstrip("."), 160, placeholder=" …") or type(error).__name__
