"""One way of weighing tasks, one file."""

from lightning_mtgan.balancing.balancer import Balancer
from lightning_mtgan.balancing.scheduled_sum import ScheduledSum
from lightning_mtgan.balancing.weighted_sum import WeightedSum

__all__ = ["Balancer", "ScheduledSum", "WeightedSum"]
