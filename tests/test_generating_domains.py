from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from lightning_mtgan import __main__ as tools
from lightning_mtgan.cli import main
from lightning_mtgan.data import Digits, Domains
from lightning_mtgan.errors import UserError
from lightning_mtgan.generating import chosen
from lightning_mtgan.pictures import alike
from tests.conftest import ROOT, SMALL, newest_run
from tests.domain_game import TwoByTwo

FEW = [f'--fidelity.{when}={{"num_images": 60, "num_neighbour_images": 20, "num_copy_images": 0, "kid_subsets": 2}}'
       for when in ("periodic", "final")]  # fmt: skip
NAMES = ("plain", "negative", "edges", "blended")


def trained(folder: Path, *more: str) -> Path:
    arguments = [f"--config={ROOT / 'conf' / 'coupled.yaml'}", *SMALL, f"--runs={folder}", *FEW, *more]
    assert main([*arguments, "--data.batch_size=4", "--trainer.max_steps=2"]) == 0
    return newest_run(folder) / "checkpoints" / "last.ckpt"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("coupled"))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generators that read conditions."""
    embedding = "--model.game.embedding=lightning_mtgan.networks.TaskEmbedding"
    return trained(tmp_path_factory.mktemp("told"), embedding)


def picture(path: Path) -> Image.Image:
    with Image.open(path) as file:
        return file.copy()


def generate(checkpoint: Path, output: Path, *arguments: str) -> dict[str, bytes]:
    """The files that were written, by their place in the folder."""
    assert tools.main(["generate", f"--checkpoint={checkpoint}", f"--output={output}", *arguments]) == 0
    return {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*.*") if path.is_file()}


def test_every_domain_is_written_from_the_same_latents(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = generate(checkpoint, tmp_path / "all", "--num_images=20")
    assert f"20 images of each domain ({', '.join(NAMES)}), sheet.png and conditions.csv" in capsys.readouterr().out
    expected = {f"{name}/{index:05d}.png" for name in NAMES for index in range(20)}
    assert files.keys() == expected | {"sheet.png", "conditions.csv"}
    modes = {name: picture(tmp_path / "all" / name / "00000.png").mode for name in NAMES}
    assert modes == {"plain": "L", "negative": "L", "edges": "L", "blended": "RGB"}
    assert files["conditions.csv"].decode().splitlines() == ["file", *(f"{index:05d}.png" for index in range(20))]

    one = generate(checkpoint, tmp_path / "one", "--num_images=20", "--domain=edges")
    assert {name for name in one if "/" in name} == {f"edges/{index:05d}.png" for index in range(20)}
    assert all(files[name] == content for name, content in one.items() if "/" in name)

    monkeypatch.setattr("lightning_mtgan.generating.BATCH", 7)
    parts = generate(checkpoint, tmp_path / "parts", "--num_images=20", "--domain=blended", "--domain=edges")
    other = generate(checkpoint, tmp_path / "other", "--num_images=20", "--domain=edges")
    assert all(parts[name] == other[name] for name in other if "/" in name)  # whatever stands beside it
    assert (
        generate(checkpoint, tmp_path / "seed", "--num_images=20", "--seed=1")["edges/00000.png"]
        != (files["edges/00000.png"])
    )


def test_the_sheet_has_a_row_for_each_domain(checkpoint: Path, tmp_path: Path) -> None:
    generate(checkpoint, tmp_path, "--num_images=3", "--domain=blended", "--domain=plain")
    sheet = picture(tmp_path / "sheet.png")
    cell = 64 + 2 * 2
    margin = sheet.width - 3 * cell
    assert margin > 0 and sheet.height == 2 * cell
    for row, name in enumerate(("blended", "plain")):
        for column in range(3):
            left, top = margin + column * cell + 2, row * cell + 2
            shown = sheet.crop((left, top, left + 64, top + 64))
            image = picture(tmp_path / name / f"{column:05d}.png").convert("RGB")
            assert shown.tobytes() == image.resize((64, 64), Image.Resampling.NEAREST).tobytes()
    generate(checkpoint, tmp_path / "channels", "--num_images=3", "--show_channels")
    assert picture(tmp_path / "channels" / "sheet.png").width > 3 * 4 * 64
    generate(checkpoint, tmp_path / "many", "--num_images=20", "--domain=blended", "--domain=plain")
    assert picture(tmp_path / "many" / "sheet.png").width == 16 * cell + margin


def test_conditions_count_in_all_domains(told: Path, tmp_path: Path) -> None:
    three = generate(told, tmp_path / "three", "--num_images=4", "--condition=digit=3")
    assert three["conditions.csv"].decode().splitlines() == [
        "file,digit",
        *(f"{index:05d}.png,3" for index in range(4)),
    ]
    five = generate(told, tmp_path / "five", "--num_images=4", "--condition=digit=5")
    for name in NAMES:
        assert three[f"{name}/00000.png"] != five[f"{name}/00000.png"]
    drawn = generate(told, tmp_path / "drawn", "--num_images=30")["conditions.csv"].decode().splitlines()[1:]
    assert len({row.split(",")[1] for row in drawn}) > 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--domain=edge"],
            "--domain edge: this generator has no such domain; it knows plain, negative, edges, blended",
        ),
        (["--condition=digit=3"], "--condition digit=3: this generator reads no conditions; leave it"),
        (["--condition=colour=3"], "no task is called `colour`; the tasks are digit"),
        (["--images=x"], "--images and --restore are for generators that take images"),
    ],
)
def test_generate_refuses(
    checkpoint: Path, tmp_path: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "output"
    assert tools.main(["generate", f"--checkpoint={checkpoint}", f"--output={output}", *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert not output.exists()


def test_a_generator_of_one_kind_has_no_domains() -> None:
    data = Domains({"one": Digits(num_images=10)})
    game = TwoByTwo(data.spec)
    assert chosen(game, []) == {"": game}
    with pytest.raises(UserError, match="--domain plain: this generator was not trained on several domains; leave it"):
        chosen(game, ["plain"])


def test_images_of_several_kinds_become_alike() -> None:
    small, large = torch.rand(2, 1, 2, 2), torch.rand(3, 3, 4, 4)
    both = alike([small, large])
    assert both.shape == (5, 3, 4, 4)
    assert torch.equal(both[2:], large)
    for channel in range(3):
        for y in range(4):
            for x in range(4):
                assert torch.equal(both[:2, channel, y, x], small[:, 0, y // 2, x // 2])
