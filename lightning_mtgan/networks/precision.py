"""Where 8 bits are too few: arithmetic outside of autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Inside, autocast is off; tensors that come from outside must be brought to the parameters' type."""
    if torch.amp.is_autocast_available(device.type):  # not so on the meta device, on which shapes are tried
        return torch.autocast(device.type, enabled=False)
    return nullcontext()
