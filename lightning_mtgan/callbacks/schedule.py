"""When something that happens every so many thousand images is due."""

from __future__ import annotations

from lightning_mtgan.module import MultiTaskGAN


def is_due(module: MultiTaskGAN, every_kimg: float) -> bool:
    """Whether the step that has just ended crossed a multiple of ``every_kimg``; never when it is 0."""
    if every_kimg <= 0:
        return False
    now = module.kimg / every_kimg
    before = (module.global_step - 1) * module.batch_size / 1000 / every_kimg
    return int(now + 1e-9) > int(before + 1e-9)
