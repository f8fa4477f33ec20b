from __future__ import annotations

import math
from statistics import fmean
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_mtgan.corruptions import Corruption, LowContrast, LowLight
from lightning_mtgan.evaluation import Jury, Protocol, judging, onlooker
from lightning_mtgan.evaluation.appearance import (
    Appearance,
    appearance,
    appearance_figures,
    colourfulness,
    luminance,
    rms_contrast,
    saturation,
    sharpness,
    tenengrad,
)
from lightning_mtgan.evaluation.measurement import Measurement
from lightning_mtgan.evaluation.onlooker import looked_at, told_by
from lightning_mtgan.evaluation.restoration import restoration_figures
from lightning_mtgan.figure_names import FIGURES, HIGHER, LOWER, RESTORATIONS, title_of
from tests.restorer import Images, Restorer

LOOKS = ("contrast", "sharpness", "tenengrad", "saturation", "colourfulness")


def pictures(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


def flat(*colour: int) -> Tensor:
    return torch.tensor(colour, dtype=torch.uint8).view(1, -1, 1, 1).expand(1, -1, 5, 6)


def looks_by_loops(image: Any) -> dict[str, float]:
    """Of one image, (C, H, W)."""
    red, green, blue = image[[0, 0, 0] if len(image) == 1 else [0, 1, 2]].astype(float)
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    height, width = light.shape
    bends, slopes = [], []
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            window = light[y - 1 : y + 2, x - 1 : x + 2]
            bends.append((window * [[0, 1, 0], [1, -4, 1], [0, 1, 0]]).sum())
            across = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
            slopes.append((window * across).sum() ** 2 + (window * across.T).sum() ** 2)
    looks = {"contrast": light.std() / 255, "sharpness": np.var(bends), "tenengrad": fmean(slopes)}
    if len(image) == 3:
        pixels = [(max(p), min(p)) for p in zip(red.flat, green.flat, blue.flat, strict=True)]
        looks["saturation"] = fmean((most - least) / most if most else 0 for most, least in pixels)
        first, second = red - green, (red + green) / 2 - blue
        spread, mean = math.hypot(first.std(), second.std()), math.hypot(first.mean(), second.mean())
        looks["colourfulness"] = spread + 0.3 * mean
    return looks


@pytest.mark.parametrize("shape", [(3, 3, 7, 9), (2, 1, 6, 5), (1, 3, 3, 3)])
def test_looks_against_loops(shape: tuple[int, ...]) -> None:
    image = pictures(*shape)
    image[0, :, 1, 1] = 0  # black has no saturation
    found = appearance(image)
    assert tuple(found) == LOOKS[: 5 if shape[1] == 3 else 3]
    for index, one in enumerate(image.numpy()):
        for name, value in looks_by_loops(one).items():
            assert found[name][index].item() == pytest.approx(value, rel=1e-12, abs=1e-12)
    assert all(rows.dtype == torch.float64 and rows.shape == shape[:1] for rows in found.values())


def test_looks_by_hand() -> None:
    image = flat(255, 0, 0)
    wanted = [0, 0, 0, 1, 0.3 * math.hypot(255, 127.5)]
    assert [rows.item() for rows in appearance(image).values()] == pytest.approx(wanted)
    assert luminance(image).unique().item() == pytest.approx(0.299 * 255)
    stripes = torch.tensor([0, 0, 255, 255], dtype=torch.uint8).expand(1, 1, 4, 4)  # black left, white right
    assert rms_contrast(stripes).item() == 0.5
    assert sharpness(stripes).item() == 255**2  # +255 left of the edge, -255 right of it
    assert tenengrad(stripes).item() == (4 * 255) ** 2
    assert saturation(flat(200, 150, 100)).item() == 0.5
    assert colourfulness(flat(80, 80, 80)).item() == saturation(flat(0, 0, 0)).item() == 0


def test_looks_follow_what_is_done_to_images() -> None:
    image = pictures(4, 3, 8, 8)
    found, half = appearance(image), appearance(image // 2 + 64)
    assert (half["contrast"] < found["contrast"]).all() and (half["sharpness"] < found["sharpness"] / 3).all()
    grey = image[:, :1].expand(-1, 3, -1, -1)
    assert appearance(grey)["saturation"].max() == 0
    torch.testing.assert_close(appearance(grey)["contrast"], appearance(image[:, :1])["contrast"])
    turned = appearance(image.flip(3).transpose(2, 3))
    for name, rows in found.items():
        torch.testing.assert_close(turned[name], rows)


def distance_by_quantiles(one: Tensor, other: Tensor) -> float:
    """The mean gap of sorted values, each repeated so that there are as many on both sides."""
    count = math.lcm(len(one), len(other))
    left, right = (rows.sort().values.repeat_interleave(count // len(rows)) for rows in (one, other))
    return (left - right).abs().mean().item()


def test_figures_are_means_and_distances() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = {name: torch.rand(6, generator=generator).double() for name in ("contrast", "sharpness")}
    damaged = {name: torch.rand(4, generator=generator).double() for name in rows}
    restored = {name: row[torch.tensor([5, 3, 1, 0, 2, 4])].repeat(2) for name, row in rows.items()}
    found = appearance_figures(rows, damaged, restored)
    for name, row in rows.items():
        assert found[name] == pytest.approx(restored[name].mean().item())
        assert found[f"{name}_input"] == pytest.approx(damaged[name].mean().item())
        assert found[f"{name}_clean"] == pytest.approx(row.mean().item())
        wanted = distance_by_quantiles(damaged[name], row) / row.std(correction=0).item()
        assert found[f"look_distance_input/{name}"] == pytest.approx(wanted) and wanted > 0.1
        assert found[f"look_distance/{name}"] == pytest.approx(0, abs=1e-12)  # in another order, and twice
    both = [found[f"look_distance_input/{name}"] for name in rows]
    assert found["look_distance_input"] == pytest.approx(fmean(both))
    assert found["look_distance"] == pytest.approx(0, abs=1e-12)


def test_too_much_is_as_far_as_too_little() -> None:
    clean = {"contrast": torch.tensor([0.2, 0.3, 0.4]).double()}
    more, less = ({"contrast": clean["contrast"] + by} for by in (0.1, -0.1))
    found = appearance_figures(clean, less, more)
    assert found["contrast"] > found["contrast_clean"] > found["contrast_input"]
    wanted = 0.1 / clean["contrast"].std(correction=0).item()
    assert found["look_distance/contrast"] == pytest.approx(wanted)
    assert found["look_distance_input"] == pytest.approx(wanted)


def test_looks_that_all_clean_images_have_alike_have_no_distance() -> None:
    clean = {"contrast": torch.tensor([0.1, 0.1, 0.1]).double(), "saturation": torch.tensor([0.0, 0.5, 1.0]).double()}
    found = appearance_figures(clean, clean, clean)
    assert "look_distance/contrast" not in found and found["look_distance/saturation"] == 0
    alone = {"contrast": clean["contrast"]}
    assert sorted(appearance_figures(alone, alone, alone)) == ["contrast", "contrast_clean", "contrast_input"]


def test_pieces_and_corruptions_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    image, other = pictures(7, 3, 5, 5), pictures(7, 3, 5, 5).flip(0) // 2
    whole = looked_at([Appearance()], "clean", image, {"x": torch.arange(7)})
    monkeypatch.setattr(onlooker, "CHUNK", 3)
    rows = looked_at([Appearance()], "clean", image, {"x": torch.arange(7)})
    torch.testing.assert_close(rows, whole, rtol=1e-12, atol=0)
    for what, its in (("damaged/a", other), ("damaged/b", image), ("restored/a", image), ("restored/b", other)):
        rows |= looked_at([Appearance()], what, its, {})
    found = told_by([Appearance()], rows, ["a", "b"])
    both = appearance(torch.cat([other, image]))
    assert found == pytest.approx(appearance_figures(appearance(image), both, both))
    assert told_by([], rows, ["a", "b"]) == {}


DIM: list[Corruption] = [LowLight(), LowContrast()]


def test_restorations_tell_of_looks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "BATCH", 4)
    images = Images(pictures(11, 3, 8, 12))
    plain = restoration_figures(Restorer(DIM), images, 11, seed=3)
    found = restoration_figures(Restorer(DIM), images, 11, seed=3, onlookers=[Appearance()])
    assert plain is not None and found is not None
    assert {name: found[name] for name in plain} == plain
    assert found.keys() - plain.keys() >= {"contrast", "contrast_clean", "look_distance/contrast", "look_distance"}
    assert found["contrast"] == found["contrast_input"] < found["contrast_clean"]  # nothing is restored
    assert found["contrast_clean"] == pytest.approx(rms_contrast(images.image).mean().item())
    assert found["look_distance"] == found["look_distance_input"] > 0.5


class Data:
    def __init__(self, images: Images) -> None:
        self.images, self.splits = images, {"held_out": "", "reference": ""}

    def dataset(self, split: str) -> Images:
        return self.images


def test_a_measurement_has_them_all_and_all_have_words() -> None:
    jury: Any = Jury(None, None)  # type: ignore[arg-type]
    measurement = Measurement(jury, Data(Images(pictures(9, 3, 6, 6))), Restorer(DIM), None)
    found = measurement.restorations(Protocol(num_restored_images=7), seed=0)
    for look in LOOKS:
        for name in (look, f"{look}_input", f"{look}_clean", f"look_distance/{look}", f"look_distance_input/{look}"):
            assert name in found and title_of(name) != name
        assert FIGURES[look].beside == f"{look}_clean" and not FIGURES[look].better
    for name in found:
        assert name.partition("/")[0] in RESTORATIONS or name in FIGURES
    assert RESTORATIONS["look_distance"].better == LOWER and RESTORATIONS["recovered"].better == HIGHER
    assert measurement.restorations(Protocol(num_restored_images=0), seed=0) == {}
