"""A run's page: ``index.html`` in its folder, with curves, samples and verdicts, in one file without scripts."""

from lightning_mtgan.page.document import write_page

__all__ = ["write_page"]
