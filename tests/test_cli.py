"""Bad input: one sentence that names the file or key, exit code 2, nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lightning_mtgan import __main__ as tools
from lightning_mtgan.cli import main
from lightning_mtgan.config_files import change, merged, overlay, split
from lightning_mtgan.messages import out_of_memory
from tests.conftest import CONFIGS, SMALL, Train, arguments_of

BAD = {
    "misspelt key": (["--trainer.max_step=3"], "key trainer.max_step is unknown, did you mean trainer.max_steps?"),
    "misspelt key inside a class": (["--model.game.embeding_owner=shared"], "did you mean model.game.embedding_owner?"),
    "misspelt class": (
        ["--model.game.adversarial=lightning_mtgan.losses.Hing"],
        "key model.game.adversarial: lightning_mtgan.losses has no `Hing`, did you mean lightning_mtgan.losses.Hinge?",
    ),
    "misspelt class in a list": (
        ["--model.game.regularizers=[lightning_mtgan.regularizers.LeCan]"],
        "lightning_mtgan.regularizers has no `LeCan`, did you mean lightning_mtgan.regularizers.LeCam?",
    ),
    "misspelt dictionary": (
        ["--model.max_gradient_norm.generator=1.0"],
        "key model.max_gradient_norm.generator is unknown, did you mean model.max_gradient_norms?",
    ),
    "misspelt group": (["--smaples.every_kimg=3"], "did you mean samples.every_kimg?"),
    "wrong type": (["--data.batch_size=many"], "key data.batch_size: expected a int, but the value is many"),
    "wrong type, deep": (["--model.optimizers.generator.lr=fast"], "expected a float, but the value is fast"),
    "no value": (["--data.batch_size"], "--data.batch_size needs a value"),
    "negative batch size": (["--data.batch_size=-3"], "data.batch_size is -3; it must be at least 1"),
    "negative workers": (["--data.num_workers=-1"], "data.num_workers is -1"),
    "unknown task": (["--data.tasks=[red,purple]"], "purple"),
    "unknown split": (["--fidelity.final.split=nowhere"], "no split `nowhere`; it has train, reference, held_out"),
    "weight without a loss": (
        ["--model.balancers.generator.weights.rde=1"],
        "balancer weights name rde, but the losses of this phase are adversarial, red, green, blue",
    ),
    "balancer without a phase": (
        ["--model.balancers.gen=lightning_mtgan.balancing.WeightedSum"],
        "model.balancers names the phase `gen`; this Game's phases are discriminator, generator",
    ),
    "optimizer missing": (["--model.game.embedding_owner=shared"], "no optimizer for the player `shared`"),
    "wrong choice": (["--model.game.embedding_owner=me"], "'generator', 'discriminator', 'shared'"),
    "negative interval": (["--fidelity.every_kimg=-1"], "fidelity.every_kimg is -1"),
    "processes that share an interpreter": (
        ["--trainer.strategy=ddp_spawn", "--trainer.devices=2"],
        "is not supported; use ddp, or auto for one device",
    ),
    "no timeout": (["--collective_timeout=0"], "collective_timeout is 0.0; give seconds, more than 0"),
    "norm of zero": (["--model.max_gradient_norms={generator: 0.0}"], "max_gradient_norms.generator is 0.0"),
    "norm of no player": (["--model.max_gradient_norms={gen: 1.0}"], "model.max_gradient_norms names the player `gen`"),
    "no skips": (["--model.max_skips=0"], "model.max_skips is 0"),
    "no micro-batches": (["--data.micro_batches=0"], "data.micro_batches is 0"),
    "indivisible": (
        ["--data.micro_batches=5"],
        "cannot be divided by 1 processes of 5 micro-batches",
    ),
    "accumulation": (["--trainer.accumulate_grad_batches=2"], "use --data.micro_batches"),
    "clipping": (["--trainer.gradient_clip_val=2"], "use --model.max_gradient_norms"),
    "half precision": (["--trainer.precision=16-mixed"], "use 32-true, bf16-mixed or 64-true"),
    "indivisible batch": (
        ["--trainer.devices=3", "--trainer.strategy=ddp"],
        "data.batch_size 64 cannot be divided by 3 processes; use a multiple of 3",
    ),
    "missing config": (["--config=nowhere.yaml"], "config file nowhere.yaml cannot be read"),
    "missing checkpoint": (["--ckpt_path=nowhere.ckpt"], "checkpoint nowhere.ckpt does not exist"),
    "nothing to resume": (["--ckpt_path=last"], "holds no run with a checkpoint"),
    "unknown strategy": (["--trainer.strategy=foo"], "trainer: "),
    "no images": (["--data.num_images=0"], "data.num_images is 0"),
    "a task twice": (["--data.tasks=[red,red]"], "names a task twice"),
    "evaluator of other data": (
        ["--data.tasks=[red]", "--fidelity.evaluator.channels=[red,green,blue,more]"],
        "cannot judge images",
    ),
    "negative seed": (["--seed_everything=-1"], "seed_everything is -1"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments, says = BAD[name]
    assert main([*SMALL, f"--runs={tmp_path / 'runs'}", *arguments]) == 2
    lines = capfd.readouterr().err.strip().splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1
    assert says in errors[0]
    assert "Traceback" not in "\n".join(lines)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_runs_folder_that_cannot_be_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs").write_text("a file, not a folder")
    assert main([*SMALL, f"--runs={tmp_path / 'runs'}"]) == 2
    assert "cannot be written" in capfd.readouterr().err


def test_a_config_file_that_is_no_yaml(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text("model: [unclosed")
    assert main([*SMALL, f"--config={tmp_path / 'bad.yaml'}"]) == 2
    assert "bad.yaml is not valid YAML" in capfd.readouterr().err
    (tmp_path / "date.yaml").write_text("seed_everything: 2020-13-45\n")
    assert main([*SMALL, f"--config={tmp_path / 'date.yaml'}"]) == 2
    assert "date.yaml is not valid YAML" in capfd.readouterr().err
    (tmp_path / "list.yaml").write_text("- a\n- b\n")
    assert main([*SMALL, f"--config={tmp_path / 'list.yaml'}"]) == 2
    assert "list.yaml holds no keys" in capfd.readouterr().err


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the main job after two steps."""
    folder = tmp_path_factory.mktemp("trained")
    assert main([*SMALL, f"--runs={folder}", "--trainer.max_steps=2"]) == 0
    return folder / "default" / "version_0" / "checkpoints" / "last.ckpt"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--condition=red=12"], "condition red=12: task `red` has the classes 0 to 9"),
        (["--condition=purple=1"], "no task is called `purple`; the tasks are red, green, blue"),
        (["--num_images=0"], "--num_images is 0"),
        (["--num_images=few"], "invalid int value"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_generate_refuses(
    checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    output = tmp_path / "images"
    assert tools.main(["generate", f"--checkpoint={checkpoint}", f"--output={output}", *arguments]) == 2
    assert says in capfd.readouterr().err
    assert not output.exists()


def test_checkpoints_that_are_none(checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    truncated = tmp_path / "truncated.ckpt"
    truncated.write_bytes(checkpoint.read_bytes()[:20_000])
    foreign = tmp_path / "foreign.ckpt"
    torch.save({"state_dict": {}}, foreign)
    for path, says in (
        (tmp_path / "none.ckpt", "does not exist"),
        (truncated, "truncated, damaged or no checkpoint"),
        (foreign, "was not written by lightning_mtgan"),
    ):
        assert tools.main(["generate", f"--checkpoint={path}", f"--output={tmp_path / 'x'}"]) == 2
        assert says in capfd.readouterr().err
        assert main([*SMALL, f"--runs={tmp_path / 'r'}", f"--ckpt_path={path}"]) == 2
        assert says in capfd.readouterr().err


def test_an_output_folder_that_cannot_be_written(
    checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("a file")
    for command in (
        ["generate", f"--output={tmp_path / 'taken'}"],
        ["evaluate", f"--output={tmp_path / 'taken/f.json'}"],
    ):
        assert tools.main([*command, f"--checkpoint={checkpoint}"]) == 2
        assert "cannot be written" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--model.game.trunk.num_features=64"],
            "trained with model.game.init_args.trunk.init_args.num_features = 128",
        ),
        (["--config=conf/digits.yaml"], "trained with"),
        (["--data.batch_size=32"], "data.init_args.batch_size = 64, but this run has 32"),
        (["--seed_everything=7"], "seed"),
        (
            [
                "--model.schedulers.generator.class_path=torch.optim.lr_scheduler.StepLR",
                "--model.schedulers.generator.init_args.step_size=3",
            ],
            "model.schedulers",
        ),
    ],
)
def test_a_checkpoint_of_another_game_is_refused_with_both_values(
    checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    arguments = [argument.replace("conf/", f"{CONFIGS[0].parent}/") for argument in arguments]
    assert main([*SMALL, f"--runs={tmp_path}", f"--ckpt_path={checkpoint}", *arguments]) == 2
    error = capfd.readouterr().err
    assert says in error
    assert "but this run has" in error


def test_a_finished_run_is_not_resumed(checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, f"--runs={tmp_path}", f"--ckpt_path={checkpoint}", "--trainer.max_steps=2"]) == 2
    assert "is at step 2; raise --trainer.max_steps above it" in capfd.readouterr().err


def test_generate_writes_what_was_asked_for(checkpoint: Path, tmp_path: Path) -> None:
    def images(name: str, *arguments: str) -> list[bytes]:
        output = tmp_path / name
        asked = ["--num_images=6", "--condition=red=3", *arguments]
        assert tools.main(["generate", f"--checkpoint={checkpoint}", f"--output={output}", *asked]) == 0
        rows = (output / "conditions.csv").read_text().splitlines()
        assert rows[0] == "file,red,green,blue"
        assert all(row.split(",")[1] == "3" for row in rows[1:])
        assert (output / "sheet.png").exists()
        return [(output / f"{index:05d}.png").read_bytes() for index in range(6)]

    assert images("one") == images("two")
    assert images("one") != images("three", "--seed=1")


def test_evaluate_repeats_the_final_figures(checkpoint: Path, tmp_path: Path) -> None:
    import json

    assert tools.main(["evaluate", f"--checkpoint={checkpoint}", f"--output={tmp_path / 'f.json'}"]) == 0
    found = json.loads((tmp_path / "f.json").read_text())
    ended = json.loads((checkpoint.parents[1] / "summary.json").read_text())
    assert found["protocol"] == ended["protocol"]
    for name, value in found["figures"].items():
        assert value == pytest.approx(ended["figures"][name], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_config_can_be_printed_and_read_back(
    config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([*arguments_of(config), "--print_config"])
    assert end.value.code == 0
    printed = capfd.readouterr().out
    (tmp_path / "again.yaml").write_text(printed)
    with pytest.raises(SystemExit):
        main([f"--config={tmp_path / 'again.yaml'}", "--print_config"])
    assert capfd.readouterr().out == printed


def test_help_explains_the_keys(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capfd.readouterr().out
    for key in ("--name", "--runs", "--ckpt_path", "--wandb", "--ema.half_life_kimg", "--fidelity.every_kimg"):
        assert key in text
    assert "An optimizer for each player" in text


def test_overlays_merge_and_another_class_drops_old_arguments() -> None:
    base = {"a": {"class_path": "x.A", "init_args": {"p": 1, "q": {"r": 2}}}, "b": [1, 2]}
    assert overlay(base, {"a": {"init_args": {"q": {"s": 3}}}})["a"]["init_args"] == {"p": 1, "q": {"r": 2, "s": 3}}
    assert overlay(base, {"a": {"class_path": "x.B"}})["a"] == {"class_path": "x.B"}
    assert overlay(base, {"b": [3]})["b"] == [3]
    assert change(base, ["a", "q", "r"], 5)["a"]["init_args"]["q"]["r"] == 5
    assert change(base, ["a"], "x.B")["a"] == {"class_path": "x.B"}


def test_numbers_are_read_as_people_write_them() -> None:
    assert merged([], {"model.x": "1e-3"})["model"]["x"] == pytest.approx(0.001)
    files, keys, others = split(["--config", "a.yaml", "--model.x", "1", "--name=n", "-c=b.yaml"])
    assert (files, keys, others) == ([Path("a.yaml"), Path("b.yaml")], {"model.x": "1"}, ["--name=n"])


def test_out_of_memory_names_the_size_and_what_to_lower(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, f"--runs={tmp_path}", "--model.game.generator.latent_dim=99000000000"]) == 2
    error = capfd.readouterr().err
    assert "out of memory while asking for" in error
    assert "lower --data.batch_size" in error
    gpu = "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 8 GiB"
    assert "2.50 GiB" in out_of_memory(gpu)


def test_weights_and_biases_goes_offline_without_a_question(
    train: Train, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", "/nowhere")
    run = train("--trainer.max_steps=2", "--wandb=auto")
    assert list(run.glob("wandb/offline-run-*/*.wandb"))
    assert "upload this run later with: wandb sync" in capfd.readouterr().out


def test_weights_and_biases_without_network_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from lightning_mtgan.callbacks import dashboard

    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert dashboard._why_offline() == "127.0.0.1 does not answer"
