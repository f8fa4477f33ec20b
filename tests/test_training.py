"""The whole program: what a run leaves, resumes exactly, and computes the same on two ranks."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from lightning_mtgan import __main__ as tools
from lightning_mtgan import checkpoint
from lightning_mtgan.cli import main
from tests.conftest import CONFIGS, LAZY, SMALL, Train, arguments_of, farthest, saboteur, weights


def read_rows(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))


def test_a_run_leaves_everything_it_promises(train: Train) -> None:
    run = train(
        "--trainer.max_steps=20", "--samples.every_kimg=0.64", "--fidelity.every_kimg=0.64", "--seed_everything=4"
    )
    assert (run / "config.yaml").exists()
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"last.ckpt", "previous.ckpt", "best.ckpt"}
    pictures = sorted(path.name for path in (run / "samples").iterdir())
    assert pictures == ["kimg_00000.640.png", "kimg_00001.280.png"]
    with Image.open(run / "samples" / pictures[0]) as picture:
        assert picture.height > 10 * 64  # enlarged: 8 pixels are too few to see
    rows = read_rows(run)
    assert [row["step"] for row in rows if row["loss/generator/adversarial"]] == ["5", "10", "15", "20"]
    assert [row["step"] for row in rows if row["fid"]] == ["10", "20", "20"]
    assert float(rows[-1]["kimg"]) == pytest.approx(1.28)
    summary = json.loads((run / "summary.json").read_text())
    figures = {"fid", "kid", "precision", "recall", "density", "coverage", "modes", "modes_kl", "task_accuracy/red"}
    assert figures | {"images_per_second", "kimg", "seconds", "peak_memory_mib"} <= summary["figures"].keys()
    protocol = summary["protocol"]
    assert protocol["num_images"] == 600
    assert protocol["extractor_checksum"]
    assert set(protocol["splits"]) == {"train", "reference", "held_out"}
    assert summary["run"]["seed"] == 4
    assert summary["run"]["steps"] == 20


def test_steps_are_batches_also_when_a_phase_is_idle(train: Train) -> None:
    run = train(
        "--trainer.max_steps=7",
        *LAZY,
    )
    content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["global_step"] == 7
    played = {int(state["step"]) for state in content["optimizer_states"][0]["state"].values()}
    assert played == {7 + 3 + 3}  # the discriminator moved in 7 main phases and 3 of each lazy one
    share = 1 / (1 + 2 / 3)
    for name, changed in (("discriminator", share), ("generator", 1.0)):
        group = content["optimizer_states"][["discriminator", "generator"].index(name)]["param_groups"][0]
        assert group["lr"] == pytest.approx(1.5e-3 * changed)
        assert group["betas"][1] == pytest.approx(0.99**changed)


def test_same_seed_same_bits_other_seed_other_bits(train: Train) -> None:
    one, same = (weights(train("--trainer.max_steps=4", runs=name)) for name in ("one", "same"))
    other = weights(train("--trainer.max_steps=4", "--seed_everything=1", runs="other"))
    assert farthest(one, same) == 0
    assert farthest(one, other) > 0


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_resume_is_bit_exact(config: Path, train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    common = [*arguments_of(config), "--fidelity.every_kimg=0.64"]
    straight = train(*common, "--trainer.max_steps=24", runs="straight")
    stopped = train(*common, "--trainer.max_steps=17", runs="parts")
    resumed = train(*common, "--trainer.max_steps=24", "--ckpt_path=last", runs="parts")
    assert resumed == stopped
    assert farthest(weights(straight), weights(resumed)) == 0
    assert (resumed / "checkpoints" / "best.ckpt").exists()


def test_resume_with_another_learning_rate_says_so_and_uses_it(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    train("--trainer.max_steps=3")
    run = train("--trainer.max_steps=4", "--ckpt_path=last", "--model.optimizers.generator.lr=1e-5")
    told = capsys.readouterr().out
    assert "resuming with model.optimizers.generator.init_args.lr = 1e-05 (was 0.0015)" in told
    content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert [states["param_groups"][0]["lr"] for states in content["optimizer_states"]] == [0.0015, 1e-5]


def test_workers_do_not_change_the_run(train: Train) -> None:
    none = train("--trainer.max_steps=6", runs="none")
    some = train("--trainer.max_steps=6", "--data.num_workers=2", runs="some")
    assert farthest(weights(none), weights(some)) == 0


def test_schedules_are_stepped_and_resumed(train: Train) -> None:
    schedule = {"class_path": "torch.optim.lr_scheduler.StepLR", "init_args": {"step_size": 2, "gamma": 0.5}}
    common = f"--model.schedulers={json.dumps({'generator': schedule})}"
    straight = train(common, "--trainer.max_steps=5", runs="straight")
    train(common, "--trainer.max_steps=3", runs="parts")
    resumed = train(common, "--trainer.max_steps=5", "--ckpt_path=last", runs="parts")
    assert farthest(weights(straight), weights(resumed)) == 0
    content = torch.load(resumed / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["optimizer_states"][1]["param_groups"][0]["lr"] == pytest.approx(0.0015 / 4)


def test_nothing_is_written_without_a_logger(train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, "--runs=runs", "--trainer.max_steps=2", "--trainer.logger=false"]) == 0
    assert main([*SMALL, "--runs=runs", "--trainer.fast_dev_run=true"]) == 0
    assert [path.name for path in tmp_path.rglob("*")] == ["runs"]


def test_the_average_can_be_switched_off(train: Train, tmp_path: Path) -> None:
    run = train("--trainer.max_steps=2", "--ema.half_life_kimg=0")
    last = run / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["lightning_mtgan"]["average"] is None
    assert tools.main(["generate", f"--checkpoint={last}", f"--output={tmp_path / 'x'}", "--num_images=2"]) == 0


@pytest.mark.parametrize("name", ["vae", "nested"])
def test_a_checkpoint_gives_the_average_also_of_what_has_two_names(train: Train, name: str) -> None:
    (config,) = [one for one in CONFIGS if one.stem == name]
    last = train(*arguments_of(config), "--trainer.max_steps=3") / "checkpoints" / "last.ckpt"
    content = checkpoint.read(last)
    average = content["lightning_mtgan"]["average"]
    parameters = dict(checkpoint.build_game(content, last).named_parameters())
    assert {key for key in average if torch.equal(parameters[key], average[key])} == set(average)
    assert any(not torch.equal(content["state_dict"][f"game.{key}"], average[key]) for key in average)


def test_a_game_without_conditions_trains_and_generates(train: Train, tmp_path: Path) -> None:
    run = train(
        "--trainer.max_steps=2",
        "--model.game.embedding=null",
        "--model.game.adversarial_head=lightning_mtgan.networks.UnconditionalHead",
        *[f"--model.balancers.generator.weights.{name}=null" for name in ("red", "green", "blue")],
    )
    last = run / "checkpoints" / "last.ckpt"
    assert tools.main(["evaluate", f"--checkpoint={last}", f"--output={tmp_path / 'f.json'}"]) == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_main_job_trains_on_a_gpu(train: Train, precision: str) -> None:
    run = train("--trainer.max_steps=20", "--trainer.accelerator=gpu", f"--trainer.precision={precision}")
    figures = json.loads((run / "summary.json").read_text())["figures"]
    assert figures["peak_memory_mib"] > 1
    rows = read_rows(run)
    assert all(abs(float(row["loss/generator/adversarial"])) < 100 for row in rows if row["loss/generator/adversarial"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_resume_on_a_gpu_is_bit_exact_with_deterministic_kernels(train: Train) -> None:
    common = ["--trainer.accelerator=gpu", "--trainer.deterministic=true"]
    straight = train(*common, "--trainer.max_steps=24", runs="straight")
    train(*common, "--trainer.max_steps=17", runs="parts")
    resumed = train(*common, "--trainer.max_steps=24", "--ckpt_path=last", runs="parts")
    assert farthest(weights(straight), weights(resumed)) == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("balancer", ["WeightedSum", "PivotGram", "AdaptiveWeight", "Hypervolume"])
@pytest.mark.parametrize("fused", [True, False])
def test_a_step_never_waits_for_the_gpu(train: Train, fused: bool, balancer: str) -> None:
    keys = [f"--model.optimizers.{player}.fused={str(fused).lower()}" for player in ("discriminator", "generator")]
    keys += [
        f"--model.balancers.{name}=lightning_mtgan.balancing.{balancer}" for name in ("discriminator", "generator")
    ]
    train("--trainer.accelerator=gpu", "--trainer.max_steps=14", *keys, saboteur("NoWaiting", first=2, last=11))
