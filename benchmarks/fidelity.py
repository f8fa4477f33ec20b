"""What an evaluation costs, beside two libraries and a bare loop: same images, same extractor, in turns.

All compute the FID of 10,000 generated against 10,000 real images with 512 features; ours reads the
real ones from its cache in the last row, as every measurement but a machine's first one does. The
table gives each one's time over that of the bare loop, the median of the turns. The final row is
everything that a measurement reports, not the FID alone.

    python benchmarks/fidelity.py
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics, register_feature_extractor
from torchmetrics.image.fid import FrechetInceptionDistance

from lightning_mtgan.evaluation import Evaluator, Jury, Protocol, References, judge, measure, stored
from lightning_mtgan.evaluation.frechet import Gaussian, frechet_distance

CPU = torch.device("cpu")
NAME, FEATURES, PIXELS = "benchmark", 512, 16


class Network(nn.Module):
    """A fixed random extractor: bytes (N, 3, 16, 16) to features (N, 512)."""

    num_features = FEATURES

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Flatten(),
            nn.Linear(1024, FEATURES),
        )  # fmt: skip
        self.eval().requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        """Features."""
        return self.layers(image.float() / 127.5 - 1)


class Judge(Evaluator):
    """The same network as this package and torch-fidelity take it."""

    checksum = "0" * 12

    def __init__(self, name: str = NAME, features_list: Sequence[str] = ("features",), **options: object) -> None:
        super().__init__(name, features_list)
        self.network = Network()

    get_provided_features_list = staticmethod(lambda: ("features",))
    get_default_feature_layer_for_metric = staticmethod(lambda metric: "features")
    can_be_compiled = staticmethod(lambda: False)
    get_dummy_input_for_compile = staticmethod(lambda: torch.zeros(1, 3, PIXELS, PIXELS, dtype=torch.uint8))

    def features(self, image: Tensor) -> Tensor:
        """Features."""
        return self.network(image)

    def predictions(self, image: Tensor, features: Tensor) -> dict[str, Tensor]:
        """None."""
        return {}

    def forward(self, input: Tensor) -> tuple[Tensor, ...]:
        """Features, as torch-fidelity asks for them."""
        return (self.network(input),)


class Images(Dataset[Tensor]):
    """Bytes in memory, one by one for torch-fidelity, in batches for us."""

    def __init__(self, seed: int, count: int) -> None:
        torch.manual_seed(seed)
        base = torch.randn(count, 3, PIXELS, PIXELS) + seed * 0.2
        self.images = ((base.cumsum(3) / 4).tanh() * 127.5 + 127.5).to(torch.uint8)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, Tensor):
            return {"image": self.images[index], "targets": {}}
        return self.images[index]

    def checksum(self, count: int) -> str:
        """A name is enough here."""
        return f"{len(self)} {count}"


def bare_loop(network: Network, fake: Images, real: Images) -> float:
    """Features, float64 moments, eigenvalues: nothing that could be left out."""
    moments = []
    with torch.no_grad():
        for images in (fake, real):
            rows = torch.cat([network(batch) for batch in images.images.split(500)]).double()
            mean = rows.mean(0)
            rows = rows - mean
            moments.append((mean, rows.T @ rows / (len(rows) - 1)))
    (m_f, c_f), (m_r, c_r) = moments
    values, vectors = torch.linalg.eigh(c_r)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    product = torch.linalg.eigvalsh(root @ c_f @ root).clamp(min=0).sqrt().sum()
    return float((m_f - m_r).square().sum() + c_f.trace() + c_r.trace() - 2 * product)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num_images", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    register_feature_extractor(NAME, Judge)
    fake, real = Images(1, arguments.num_images), Images(0, arguments.num_images)
    network, judged_by = Network(), Judge()
    jury = Jury.of(judged_by, None)
    assert jury is not None
    folder = Path(tempfile.mkdtemp())
    kept = References(jury, folder)
    kept.get("real", real, len(real), (), CPU)

    def ours(references: References) -> float:
        made = judge(stored(fake), len(fake), jury, (), CPU)
        reference = references.get("real", real, len(real), (), CPU)
        assert made is not None
        assert reference is not None
        return frechet_distance(Gaussian.of(made.features), reference.gaussian)

    def everything() -> float:
        made, reference = judge(stored(fake), len(fake), jury, (), CPU), kept.get("real", real, len(real), (), CPU)
        assert made is not None
        assert reference is not None
        protocol = Protocol(num_images=len(fake), num_neighbour_images=2000, kid_subsets=4)
        return measure(made, reference, (), protocol, jury)["fid"]

    def torch_fidelity(**options: Any) -> float:
        found = calculate_metrics(
            input1=fake,
            input2=real,
            cuda=False,
            fid=True,
            feature_extractor=NAME,
            cache=False,
            verbose=False,
            **options,
        )
        return found["frechet_inception_distance"]

    def torchmetrics() -> float:
        metric = FrechetInceptionDistance(feature=network, normalize=False)
        for images, is_real in ((fake, False), (real, True)):
            for batch in images.images.split(500):
                metric.update(batch, real=is_real)
        return float(metric.compute())

    rows: dict[str, Callable[[], float]] = {
        "bare loop": lambda: bare_loop(network, fake, real),
        "ours": lambda: ours(References(jury, None)),
        "ours, the real images from the cache": lambda: ours(kept),
        "torch-fidelity, default": torch_fidelity,
        "torch-fidelity, batches of 500, no workers": lambda: torch_fidelity(batch_size=500, save_cpu_ram=True),
        "torchmetrics": torchmetrics,
        "ours, every figure, the real images from the cache": everything,
    }
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    fids: dict[str, float] = {}
    for turn in range(-1, arguments.turns):  # the first one warms up
        for name, run in rows.items():
            start = time.perf_counter()
            fids[name] = run()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
    print("| evaluation | median time / bare loop | least, greatest | median seconds | FID |\n|---|---|---|---|---|")
    for name, times in seconds.items():
        ratios = [time / bare for time, bare in zip(times, seconds["bare loop"], strict=True)]
        print(
            f"| {name} | {statistics.median(ratios):.2f} | {min(ratios):.2f}, {max(ratios):.2f} | "
            f"{statistics.median(times):.2f} | {fids[name]:.6g} |"
        )


if __name__ == "__main__":
    main()
