"""Figures that can be compared: extractors, evaluators, protocols, and the measurement itself."""

from torch_fidelity import register_feature_extractor

from lightning_mtgan.evaluation.digit_domains import DigitDomainsEvaluator, DigitDomainsExtractor
from lightning_mtgan.evaluation.digits import DigitsEvaluator, DigitsExtractor
from lightning_mtgan.evaluation.evaluator import Evaluator
from lightning_mtgan.evaluation.extractor import Extractor
from lightning_mtgan.evaluation.figures import Known, measure
from lightning_mtgan.evaluation.judging import Abandoned, Judged, Jury, generated, judge, stored
from lightning_mtgan.evaluation.measurement import Measurement
from lightning_mtgan.evaluation.photos import PhotosEvaluator, PhotosExtractor
from lightning_mtgan.evaluation.pretrained import Pretrained
from lightning_mtgan.evaluation.protocol import Protocol, describe, in_short, require_enough
from lightning_mtgan.evaluation.reference import Reference, References
from lightning_mtgan.evaluation.shapes import ShapesEvaluator, ShapesExtractor

register_feature_extractor("mtgan-stacked-digits", DigitsExtractor)
register_feature_extractor("mtgan-digits", DigitsExtractor)
register_feature_extractor("mtgan-digit-domains", DigitDomainsExtractor)
register_feature_extractor("mtgan-photos", PhotosExtractor)
register_feature_extractor("mtgan-shapes", ShapesExtractor)

__all__ = [
    "Abandoned",
    "DigitDomainsEvaluator",
    "DigitsEvaluator",
    "Evaluator",
    "Extractor",
    "Judged",
    "Jury",
    "Known",
    "Measurement",
    "PhotosEvaluator",
    "Pretrained",
    "Protocol",
    "Reference",
    "References",
    "ShapesEvaluator",
    "describe",
    "generated",
    "in_short",
    "judge",
    "measure",
    "require_enough",
    "stored",
]
