"""Data beyond one machine: litdata's chunks, read in an order of our own."""

from lightning_mtgan.data.streams.streamed import Streamed
from lightning_mtgan.data.streams.writer import write_stream

__all__ = ["Streamed", "write_stream"]
