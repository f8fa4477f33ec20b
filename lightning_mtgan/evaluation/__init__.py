"""Figures that can be compared: evaluators, protocols, and the measurement itself."""

from torch_fidelity import register_feature_extractor

from lightning_mtgan.evaluation.digits import DigitsEvaluator, DigitsExtractor
from lightning_mtgan.evaluation.evaluator import Evaluator
from lightning_mtgan.evaluation.measurement import (
    Abandoned,
    Judged,
    Protocol,
    describe,
    generated,
    judge,
    measure,
    require_enough,
    stored,
)

register_feature_extractor("mtgan-stacked-digits", DigitsExtractor)
register_feature_extractor("mtgan-digits", DigitsExtractor)

__all__ = [
    "Abandoned",
    "DigitsEvaluator",
    "Evaluator",
    "Judged",
    "Protocol",
    "describe",
    "generated",
    "judge",
    "measure",
    "require_enough",
    "stored",
]
