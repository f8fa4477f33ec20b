"""The Game that takes images: who moves what, and the encoder that both players read."""

from __future__ import annotations

import copy as copying
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from lightning_mtgan import __main__ as tools
from lightning_mtgan import restoring
from lightning_mtgan.augment import Translation
from lightning_mtgan.averaging import ParameterAverage
from lightning_mtgan.balancing import WeightedSum
from lightning_mtgan.corruptions import BoxInpainting, Colourisation, Damaged, Denoising, SuperResolution
from lightning_mtgan.data import Photos
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import MTS4GAN
from lightning_mtgan.image_files import decode_whole
from lightning_mtgan.losses import Hinge, NonSaturating, RelativisticAverage
from lightning_mtgan.networks import ImageEncoder, PatchTrunk, ResidualTranslator, UNet
from lightning_mtgan.regularizers import R1, R2, LeCam, PathLength, RealConsistency
from lightning_mtgan.self_supervision import Jigsaw, LabelAugmented, Rotations, TransformationPrediction
from lightning_mtgan.supervision import AuxiliaryHeads
from lightning_mtgan.types import Batch, DataSpec, part_of
from tests.conftest import Train, arguments_of, weights

CONFIG = next(path for path in (Path(__file__).parents[1] / "conf").glob("mts4gan.yaml"))
DATA = Photos(batch_size=6, image_size=16, num_images=64, tasks=("photograph", "colour"))
NAMES = ("box_inpainting", "colourisation", "denoising", "super_resolution")


def mts4gan(**changes: object) -> MTS4GAN:
    parts: dict[str, object] = {
        "spec": DATA.spec,
        "corruptions": [BoxInpainting(), Colourisation(), Denoising(), SuperResolution()],
        "generator": lambda spec, dim, encoder: UNet(spec, dim, encoder, width=4, num_blocks=1),
        "trunk": lambda spec: PatchTrunk(spec, width=4, num_features=8),
        "adversarial": NonSaturating(),
        "supervision": AuxiliaryHeads,
        "regularizers": [R1()],
        "embedding_dim": 4,
    }
    torch.manual_seed(0)
    game = MTS4GAN(**{**parts, **changes})  # type: ignore[arg-type]
    with torch.no_grad():  # what starts at zero hides what stands before it
        for parameter in game.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return game


def rotation(kind: type = TransformationPrediction) -> Callable[..., object]:
    return lambda spec, num_features: kind(spec, num_features, Rotations())


GAMES: dict[str, Callable[[], MTS4GAN]] = {
    "separate encoders": mts4gan,
    "shared encoder": lambda: mts4gan(shares_encoder=True),
    "lazy penalty, relativistic": lambda: mts4gan(adversarial=RelativisticAverage(), regularizers=[R1(every=4), R2()]),
    "no features matched, hinge": lambda: mts4gan(adversarial=Hinge(), matches_features=False, regularizers=[LeCam()]),
    "L1 alone": lambda: mts4gan(adversarial=None),
    "residual, rotations beside": lambda: mts4gan(
        generator=lambda spec, dim, encoder: ResidualTranslator(spec, dim, encoder, width=4, num_blocks=1),
        self_supervision=[rotation(), lambda spec, n: LabelAugmented(spec, n, Jigsaw())],
        supervision=None,
    ),
}


@pytest.fixture(params=GAMES, name="game")
def _game(request: pytest.FixtureRequest) -> MTS4GAN:
    return GAMES[request.param]()


def batch(step: int = 1) -> Batch:
    rows = DATA.dataset("train")[torch.arange(6)]
    return {"image": rows["image"] / 127.5 - 1, "targets": rows["targets"], "draws": Draws(seed=3, step=step)}


def at(given: Batch, phase: str) -> Batch:
    return {**given, "draws": given["draws"].at(phase)}


def play(game: MTS4GAN, name: str) -> dict[str, Tensor]:
    phase = next(phase for phase in game.phases() if phase.name == name)
    for player_name, player in game.players.items():
        player.requires_grad_(player_name == phase.player)
    parameters = list(game.players[phase.player].parameters())
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    optimizer.zero_grad()
    terms = phase.losses(at(batch(), name))
    WeightedSum().backward(terms, parameters)
    optimizer.step()
    return terms.losses


def copy(game: MTS4GAN) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in game.named_parameters()}


def damaged(game: MTS4GAN) -> Damaged:
    return game.damaged(batch())[0]


def test_each_phase_changes_its_player_and_no_other(game: MTS4GAN) -> None:
    game.check()
    for phase in game.phases():
        before = copy(game)
        losses = play(game, phase.name)
        assert all(loss.ndim == 0 and torch.isfinite(loss) for loss in losses.values())
        owned = {id(p) for p in game.players[phase.player].parameters()}
        for name, parameter in game.named_parameters():
            assert id(parameter) in owned or torch.equal(parameter, before[name]), (phase.name, name)
        assert any(not torch.equal(p, before[name]) for name, p in game.named_parameters())


def test_every_parameter_of_the_generator_learns(game: MTS4GAN) -> None:
    before = copy(game)
    for step in range(3):  # not every corruption is in every batch
        for player_name, player in game.players.items():
            player.requires_grad_(player_name == "generator")
        parameters = list(game.players["generator"].parameters())
        WeightedSum().backward(game.generator_losses(batch(step)), parameters)
        with torch.no_grad():
            for parameter in parameters:
                parameter -= 0.1 * parameter.grad  # type: ignore[operator]
    names = {name for name, _ in game.named_parameters() if name.startswith("players.generator")}
    assert names and all(not torch.equal(dict(game.named_parameters())[name], before[name]) for name in names)


def test_the_discriminators_phase_alone_trains_a_shared_encoder() -> None:
    game = mts4gan(shares_encoder=True)
    assert game.discriminator is not None
    encoder = game.discriminator.trunk.encoder
    assert game.generator.encoder is encoder
    state = [p.detach().clone() for p in encoder.parameters()]
    play(game, "generator")
    assert all(torch.equal(p, old) for p, old in zip(encoder.parameters(), state, strict=True))
    before = game.restore(damaged(game), ["denoising"] * 6).detach()
    play(game, "discriminator")
    assert all(not torch.equal(p, old) for p, old in zip(encoder.parameters(), state, strict=True))
    assert not torch.equal(game.restore(damaged(game), ["denoising"] * 6), before)  # the generator reads it


def test_a_shared_encoder_saves_its_parameters_and_says_so() -> None:
    apart, together = mts4gan(), mts4gan(shares_encoder=True)
    counts = [sum(p.numel() for p in game.parameters()) for game in (apart, together)]
    saved = sum(p.numel() for p in together.generator.encoder.parameters())
    assert counts[0] - counts[1] == saved > 0
    assert apart.remarks() == []
    (line,) = together.remarks()
    assert f"{counts[1]:,} parameters instead of {counts[0]:,}" in line


def test_a_shared_encoder_stays_shared_in_copies() -> None:
    game = copying.deepcopy(mts4gan(shares_encoder=True))
    assert game.discriminator is not None
    assert game.generator.encoder is game.discriminator.trunk.encoder
    game.check()
    other = mts4gan(shares_encoder=True, spec=replace(DATA.spec))
    other.load_state_dict(game.state_dict())
    given = damaged(game)
    assert torch.equal(other.restore(given, ["denoising"] * 6), game.restore(given, ["denoising"] * 6))


@pytest.mark.parametrize("shares", [False, True])
def test_the_average_holds_exactly_what_restoring_reads(shares: bool) -> None:
    game = mts4gan(shares_encoder=shares)
    average, given, names = ParameterAverage(game, half_life=1000, rampup=1.0), damaged(game), ["denoising"] * 6
    with torch.no_grad():
        before = game.restore(given, names)
        for parameter in game.parameters():
            parameter += 0.05
        assert not torch.equal(game.restore(given, names), before)
        with average.applied():
            assert torch.equal(game.restore(given, names), before)
        for name in set(dict(game.named_parameters())) - set(average.state_dict()):
            dict(game.named_parameters())[name].fill_(float("nan"))
        assert torch.isfinite(game.restore(given, names)).all()


def test_players_see_the_same_damage_in_a_step_and_another_in_the_next() -> None:
    game = mts4gan()
    found = [game.damaged(at(batch(step), phase)) for step, phase in ((1, "discriminator"), (1, "generator"), (2, "g"))]
    assert torch.equal(found[0][0].image, found[1][0].image) and torch.equal(found[0][1], found[1][1])
    assert not torch.equal(found[0][0].image, found[2][0].image)


def test_reconstruction_is_the_mean_error_of_what_was_lost() -> None:
    game, given = mts4gan(adversarial=None), batch()
    losses = game.generator_losses(given).losses
    damaged, index = game.damaged(given)
    restored = game.restored(damaged, index)
    for number, name in enumerate(NAMES):
        errors = []
        for image in range(6):
            if index[image] == number:
                lost = damaged.known[image, 0] == 0
                errors.append((restored[image][:, lost] - given["image"][image][:, lost]).abs().mean())
        expected = torch.stack(errors).mean() if errors else torch.tensor(0.0)
        assert losses[name].item() == pytest.approx(expected.item(), abs=1e-6)


def test_what_to_restore_is_told() -> None:
    game, image = mts4gan(), torch.rand(1, 3, 16, 16)
    given = Damaged(image, torch.zeros(1, 1, 16, 16))
    made = [game.restore(given, [name]) for name in NAMES]
    assert all(not torch.equal(made[0], other) for other in made[1:])


def test_images_of_any_size_keep_what_is_known() -> None:
    game = mts4gan()
    image, known = torch.rand(2, 3, 21, 34), (torch.rand(2, 1, 21, 34) < 0.5).float()
    made = game.restore(Damaged(image * known, known), ["box_inpainting"] * 2)
    assert made.shape == image.shape and made.abs().max() <= 1
    assert torch.equal(made * known, image * known)
    with pytest.raises(TypeError, match="takes images; use restore"):
        game.sample(1)


def test_a_micro_batch_is_a_part_of_the_whole() -> None:
    game, whole = mts4gan(), batch()
    damaged, index = game.damaged(whole)
    parts = [game.damaged(part_of(whole, part, 2)) for part in range(2)]
    assert torch.equal(torch.cat([part[0].image for part in parts]), damaged.image)
    assert torch.equal(torch.cat([part[1] for part in parts]), index)


def test_micro_batches_weigh_each_image_alike() -> None:
    game, whole = mts4gan(adversarial=None), batch()
    together = game.generator_losses(whole).losses
    parts = [game.generator_losses(part_of(whole, part, 6)).losses for part in range(6)]
    for name in NAMES:
        mean = torch.stack([losses[name] for losses in parts]).mean()
        assert mean.item() == pytest.approx(together[name].item(), abs=1e-6), name


def test_what_stands_on_the_generator_itself_is_refused() -> None:
    class Scaled(UNet):
        def __init__(self, spec: DataSpec, condition_dim: int, encoder: ImageEncoder | None) -> None:
            super().__init__(spec, condition_dim, encoder, width=4, num_blocks=1)
            self.gain = nn.Parameter(torch.ones(1))

    with pytest.raises(TypeError, match=r"Scaled.gain stands on the generator itself"):
        mts4gan(generator=Scaled)


def test_rotations_of_true_images_are_recognised_or_not() -> None:
    game = mts4gan(self_supervision=[rotation()])
    right = game.recognised(batch()["image"])["rotation"]
    assert right.shape == (6,) and set(right.tolist()) <= {0.0, 1.0}
    assert "rotation" in play(game, "discriminator") and "rotation" in play(game, "generator")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"corruptions": []}, "model.game.corruptions is empty"),
        ({"corruptions": [Denoising(), Denoising()]}, "model.game.corruptions has a name twice"),
        ({"adversarial": None, "shares_encoder": True}, "without model.game.adversarial there is no discriminator"),
        ({"regularizers": [PathLength()]}, "PathLength, which needs a generator with latents"),
        ({"regularizers": [R1(), R1()]}, "has R1 twice"),
        ({"regularizers": [RealConsistency(Translation())]}, "RealConsistency, which changes an image, but not"),
        ({"spec": replace(DATA.spec, domains={"one": DATA.spec})}, "but the data is Domains"),
        ({"regularizers": [LeCam()], "adversarial": RelativisticAverage()}, "judges differences alone"),
        ({"self_supervision": [rotation(), rotation(LabelAugmented)]}, "has `rotation` twice"),
        ({"embedding_dim": 0}, "model.game.embedding_dim is 0"),
        (
            {"shares_encoder": True, "trunk": lambda spec: PatchTrunk(spec, width=6)},
            "model.game.generator.width is 4, but model.game.trunk.width is 6",
        ),
    ],
)
def test_parts_that_do_not_fit_are_named(changes: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        mts4gan(**changes)


def test_a_folder_of_images_is_restored(train: Train, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = train(
        *arguments_of(CONFIG),
        "--model.game.shares_encoder=true",
        "--trainer.precision=64-true",
        "--trainer.max_steps=2",
    )
    printed = capfd.readouterr().out
    assert "shared encoder: " in printed and "psnr_gain" in printed
    encoder = [key for key in weights(run) if "trunk.encoder" in key]
    assert len(encoder) == 2 * len([key for key in encoder if not key.startswith("average.")])  # it is averaged, too
    folder, output = tmp_path / "images", tmp_path / "restored"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (23, 37, 4), dtype=np.uint8)
    noise[..., 3] = 255
    noise[5:9, 4:12, 3] = 0
    Image.fromarray(noise, "RGBA").save(folder / "a.png")
    Image.fromarray(noise[..., 0], "L").save(folder / "b.jpg")
    (folder / "notes.txt").write_text("no image")
    command = ["generate", f"--checkpoint={run / 'checkpoints' / 'last.ckpt'}", f"--output={output}"]

    def generate(*more: str) -> int:
        return tools.main([*command, *more])

    assert generate(f"--images={folder}", "--restore=super_resolution") == 0
    assert (
        np.asarray(Image.open(output / "a.png")).shape == np.asarray(Image.open(output / "b.png")).shape == (46, 74, 3)
    )
    (folder / "b.jpg").unlink()
    assert generate(f"--images={folder}", "--restore=box_inpainting") == 0
    made = np.asarray(Image.open(output / "a.png"))
    opaque = noise[..., 3] == 255
    assert (made[opaque] == noise[opaque][:, :3]).all()
    capfd.readouterr()
    Image.fromarray(noise[..., :3]).save(folder / "opaque.png")
    for arguments, says in (
        ([], "--images is missing"),
        ([f"--images={folder}"], "--restore is missing: say what this generator is to do, one of colourisation"),
        ([f"--images={folder}", "--restore=sharpening"], "--restore sharpening is nothing that this generator"),
        ([f"--images={tmp_path / 'none'}", "--restore=denoising"], "is no folder"),
        ([f"--images={output / '..' / 'runs'}", "--restore=denoising"], "holds no images"),
        ([f"--images={folder}", "--restore=denoising", f"--output={folder}"], "is the folder of the images"),
        ([f"--images={folder}", "--restore=denoising", "--condition=photograph=1"], "--condition photograph=1"),
        ([f"--images={folder}", "--restore=box_inpainting"], "opaque.png lacks nothing: box_inpainting restores"),
    ):
        before = {path: path.stat().st_mtime_ns for path in output.iterdir()}
        assert generate(*arguments) == 2
        assert says in capfd.readouterr().err
        assert {path: path.stat().st_mtime_ns for path in output.iterdir()} == before
    whole = (folder / "opaque.png").read_bytes()
    for broken in (b"\x89PNG", whole[: len(whole) // 2]):
        (folder / "broken.png").write_bytes(broken)
        assert generate(f"--images={folder}", "--restore=denoising") == 2
        assert "broken.png" in capfd.readouterr().err


def test_large_images_are_restored_in_tiles_without_seams() -> None:
    game = mts4gan()
    with torch.no_grad():
        for parameter in game.generator.to_image.parameters():  # type: ignore[union-attr]
            parameter *= 0.05
    ramp = torch.linspace(-1, 1, 90)[None, None, None].expand(1, 3, 70, 90).clone()
    known = torch.ones(1, 1, 70, 90)
    known[..., 10:60, 10:80] = 0  # larger than a tile with its margin
    given = Damaged(ramp * known, known)
    with torch.no_grad():
        expected = restoring.whole(game, given, "box_inpainting")
        tiled = restoring.whole(game, given, "box_inpainting", tile=24)
    assert torch.equal(tiled * known, given.image)
    assert (tiled - expected).abs().max() < 1e-4


def test_soft_edges_of_an_erasure_are_no_truth() -> None:
    row = np.full((1, 4, 4), 250, dtype=np.uint8)
    row[0, :, 3] = (0, 100, 254, 255)
    file = io.BytesIO()
    Image.fromarray(row, "RGBA").save(file, "PNG")
    pixels, opaque = decode_whole(file, 3)
    assert opaque.tolist() == [[False, False, False, True]] and pixels[0].tolist() == [[128, 128, 128, 250]]


def test_noise_has_no_folder_of_images(train: Train, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = train("--trainer.max_steps=1")
    arguments = ["generate", f"--checkpoint={run / 'checkpoints' / 'last.ckpt'}", f"--output={tmp_path / 'out'}"]
    assert tools.main([*arguments, f"--images={tmp_path}"]) == 2
    assert "this one makes them of noise" in capfd.readouterr().err
