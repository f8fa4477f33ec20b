"""Figures that can be compared: extractors, evaluators, protocols, and the measurement itself."""

from torch_fidelity import register_feature_extractor

from lightning_mtgan.evaluation.digit_domains import DigitDomainsEvaluator
from lightning_mtgan.evaluation.digits import DigitsEvaluator
from lightning_mtgan.evaluation.domain_measurement import DomainMeasurement, Measures, measurement_of
from lightning_mtgan.evaluation.evaluator import Evaluator
from lightning_mtgan.evaluation.extractor import Extractor
from lightning_mtgan.evaluation.figures import Known, measure
from lightning_mtgan.evaluation.judging import Abandoned, Judged, Jury, generated, judge, stored
from lightning_mtgan.evaluation.measurement import Measurement
from lightning_mtgan.evaluation.photos import PhotosEvaluator
from lightning_mtgan.evaluation.pixel_agreement import pixel_agreement
from lightning_mtgan.evaluation.pretrained import Pretrained
from lightning_mtgan.evaluation.protocol import Protocol, describe, in_short, require_enough
from lightning_mtgan.evaluation.reference import Reference, References
from lightning_mtgan.evaluation.restoration import restoration_figures, restored
from lightning_mtgan.evaluation.shapes import ShapesEvaluator
from lightning_mtgan.evaluation.shipped import ShippedEvaluator, for_torch_fidelity
from lightning_mtgan.evaluation.similarity import Similarity

register_feature_extractor("mtgan-stacked-digits", for_torch_fidelity(DigitsEvaluator))
register_feature_extractor("mtgan-digits", for_torch_fidelity(DigitsEvaluator))
register_feature_extractor("mtgan-digit-domains", for_torch_fidelity(DigitDomainsEvaluator))
register_feature_extractor("mtgan-photos", for_torch_fidelity(PhotosEvaluator))
register_feature_extractor("mtgan-shapes", for_torch_fidelity(ShapesEvaluator))

__all__ = [
    "Abandoned",
    "DigitDomainsEvaluator",
    "DigitsEvaluator",
    "DomainMeasurement",
    "Evaluator",
    "Extractor",
    "Judged",
    "Jury",
    "Known",
    "Measurement",
    "Measures",
    "PhotosEvaluator",
    "Pretrained",
    "Protocol",
    "Reference",
    "References",
    "ShapesEvaluator",
    "ShippedEvaluator",
    "Similarity",
    "describe",
    "generated",
    "in_short",
    "judge",
    "measure",
    "measurement_of",
    "pixel_agreement",
    "require_enough",
    "restoration_figures",
    "restored",
    "stored",
]
