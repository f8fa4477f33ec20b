from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

from lightning_mtgan.cli import main
from lightning_mtgan.data import ClassBalanced, Digits, Domains, ImageDataModule, ImageFolder, StackedDigits
from lightning_mtgan.errors import UserError
from tests.conftest import SMALL, farthest, served, weights
from tests.launch import Launched
from tests.picture_files import write_folder


def two(**changes: Any) -> Domains:
    domains: dict[str, ImageDataModule] = {"grey": Digits(num_images=30), "stacks": StackedDigits(num_images=50)}
    return Domains(**{"domains": domains, "batch_size": 10, "batch_sizes": {"stacks": 5}, **changes})


def test_each_domain_has_its_own_batch_size_and_none_is_cut() -> None:
    data = two()
    loader = served(data)
    batches = [next(loader)["domains"] for _ in range(10)]  # one pass over the longer, three over the shorter
    assert {name: one["image"].shape for name, one in batches[0].items()} == {
        "grey": (10, 1, 8, 8),
        "stacks": (5, 3, 8, 8),
    }
    for name, times in (("grey", [3, 4]), ("stacks", [1])):
        seen = torch.cat([batch[name]["image"] for batch in batches]).flatten(1)
        every = data.domains[name].dataset("train")
        images = every[torch.arange(len(every))]["image"].flatten(1)
        counts = [(seen == image).all(1).sum().item() // (images == image).all(1).sum().item() for image in images]
        assert set(counts) <= set(times), name
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        global_rank=0, world_size=1, global_step=0, strategy=SimpleNamespace(root_device=torch.device("cpu"))
    )
    assert len(data.train_dataloader()) == 10


def test_domains_go_on_where_they_stopped_and_ranks_share_them() -> None:
    whole = served(two())
    batches = [next(whole)["domains"] for _ in range(7)]
    resumed = next(served(two(), step=6))["domains"]
    shares = [next(served(two(batch_sizes={}), step=6, rank=rank, ranks=2))["domains"] for rank in range(2)]
    together = next(served(two(batch_sizes={}), step=6))["domains"]
    for name in resumed:
        assert torch.equal(resumed[name]["image"], batches[6][name]["image"])
        assert torch.equal(torch.cat([share[name]["image"] for share in shares]), together[name]["image"])


def test_pairs_stay_together(tmp_path: Path) -> None:
    same = {"one": Digits(num_images=40), "other": Digits(num_images=40)}
    for paired in (True, False):
        batch = next(served(Domains(same, paired=paired, batch_size=40)))["domains"]  # type: ignore[arg-type]
        assert torch.equal(batch["one"]["image"], batch["other"]["image"]) is paired
    with pytest.raises(UserError, match="grey has 30 training images and stacks 50"):
        served(two(paired=True, batch_sizes={}))
    with pytest.raises(UserError, match="all domains have one order"):
        two(paired=True)
    for name in ("a", "b"):
        write_folder(tmp_path / name, 12, classes=("x", "y") if name == "a" else ("y", "x"))
    folders = {
        name: ImageFolder(str(tmp_path / name), held_out_share=0, cache=str(tmp_path), class_folders=False)
        for name in "ab"
    }
    with pytest.raises(UserError, match="b has no training image x/000 as a does"):
        served(Domains(folders, paired=True))  # type: ignore[arg-type]
    write_folder(tmp_path / "c", 12, size=32)
    write_folder(tmp_path / "d", 12)
    folders = {name: ImageFolder(str(tmp_path / name), held_out_share=0, cache=str(tmp_path)) for name in "cd"}
    batch = next(served(Domains(folders, paired=True, batch_size=12)))["domains"]  # type: ignore[arg-type]
    small = batch["c"]["image"].float()[:, 0].mean((1, 2)) - batch["d"]["image"].float()[:, 0].mean((1, 2))
    assert batch["c"]["image"].shape[2] == 32 and small.abs().max() < 25  # the same brightness, image by image


def test_a_domain_keeps_its_sampling() -> None:
    data = two(domains={"grey": Digits(num_images=30, sampling=ClassBalanced("digit"))}, batch_sizes={})
    labels = next(served(data))["domains"]["grey"]["targets"]["digit"]
    assert labels.sort().values.tolist() == list(range(10))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"domains": {}}, "data.domains is empty"),
        ({"batch_sizes": {"colour": 3}}, "data.batch_sizes names `colour`; the domains are grey, stacks"),
        ({"batch_size": 0}, "data.batch_size is 0"),
        ({"num_workers": -1}, "data.num_workers is -1"),
    ],
)
def test_mistakes_are_one_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        two(**change)


def config(folder: Path, **changes: Any) -> str:
    """A training of the smallest Game of several domains."""
    optimizer = {"class_path": "torch.optim.Adam", "init_args": {"lr": 1e-3}}
    plain = dict.fromkeys(("r1", "r2", "red", "green", "blue"))
    content = {
        "data": {
            "class_path": "lightning_mtgan.data.Domains",
            "init_args": {
                "domains": {
                    "grey": {"class_path": "lightning_mtgan.data.Digits", "init_args": {"num_images": 30}},
                    "stacks": {"class_path": "lightning_mtgan.data.StackedDigits", "init_args": {"num_images": 50}},
                },
                "batch_size": 12,
                "batch_sizes": {"stacks": 6},
                **changes,
            },
        },
        "model": {
            "game": {"class_path": "tests.domain_game.TwoByTwo"},
            "balancers": {phase: {"init_args": {"weights": plain}} for phase in ("discriminator", "generator")},
            "optimizers": {"discriminator": optimizer, "generator": optimizer},
        },
        "fidelity": {"evaluator": {"init_args": {"name": "mtgan-digits", "channels": ["digit"]}}},
        "samples": {"show_channels": False},
    }
    path = folder / "domains.yaml"
    path.write_text(yaml.safe_dump(content))
    return f"--config={path}"


NO_WIDTH = [argument for argument in SMALL if "width" not in argument]


def test_a_game_of_several_domains_trains_and_resumes(tmp_path: Path) -> None:
    arguments = [*NO_WIDTH, config(tmp_path), "--trainer.precision=64-true"]
    for runs, steps in (("whole", [6]), ("parts", [3, 6])):
        for number, last in enumerate(steps):
            goes_on = ["--ckpt_path=last"] if number else []
            assert main([*arguments, f"--runs={tmp_path / runs}", f"--trainer.max_steps={last}", *goes_on]) == 0
    found = [weights(tmp_path / runs / "domains" / "version_0") for runs in ("whole", "parts")]
    assert farthest(*found) == 0


def test_two_ranks_play_the_same_domains(tmp_path: Path) -> None:
    arguments, found = [*NO_WIDTH, "--trainer.max_steps=4", "--trainer.precision=64-true"], []
    for ranks in (1, 2):
        launched = Launched(
            [*arguments, config(tmp_path), f"--runs={tmp_path / str(ranks)}"],
            ranks,
            tmp_path / f"output{ranks}",
        )
        assert launched.wait() == [0] * ranks, launched.text()
        found.append(weights(tmp_path / str(ranks) / "domains" / "version_0"))
    assert farthest(*found) < 1e-9


def test_an_indivisible_domain_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [config(tmp_path), f"--runs={tmp_path}", "--data.micro_batches=4", "--wandb=off"]
    assert main(arguments) == 2
    assert "data.batch_sizes.stacks 6 cannot be divided" in capsys.readouterr().err
