"""The collapse guard: what it says of which figures, and what it does through the real command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lightning_mtgan.callbacks.collapse_guard import default_rules
from lightning_mtgan.cli import main
from lightning_mtgan.errors import UserError
from lightning_mtgan.guard import (
    CollapseInCondition,
    Deterioration,
    DiscriminatorDomination,
    DiscriminatorOverfitting,
    Divergence,
    History,
    Memorising,
    ModeDropping,
    Rule,
)
from tests.conftest import SMALL, Train, farthest, newest_run, saboteur, weights
from tests.launch import Launched

HEALTHY = {
    "gradient_norm/discriminator": 1.2,
    "gradient_norm/generator": 0.5,
    "signal/r_t": 0.65,
    "signal/diversity": 0.8,
    "skipped/generator": 0.0,
    "fid": 40.0,
    "recall": 0.9,
    "coverage": 0.95,
    "modes": 990.0,
    "diversity": 1.1,
    "duplicates": 0.01,
    "memorisation": 0.5,
    "copy_distance": 0.9,
    "overfitting": 0.3,
    **{f"task_accuracy/red/{label}": 0.95 for label in range(5)},
    **{f"recall/red/{label}": 0.9 for label in range(5)},
    **{f"fid/red/{label}": 50.0 for label in range(5)},
}
CASES: list[tuple[Rule, dict[str, float], int, str]] = [
    (Divergence(), {"gradient_norm/generator": 50.0}, 1, "gradient of the generator has norm 50, 100 times"),
    (Divergence(), {"gradient_norm/generator": float("nan")}, 1, "gradient of the generator"),
    (Divergence(), {"skipped/generator": 4.0}, 1, "4 steps of phase generator were left out"),
    (Divergence(), {"fid": 900.0}, 1, "FID is 900, its best was 40"),
    (Deterioration(), {"fid": 90.0}, 1, "FID is 90, its best was 40"),
    (Deterioration(), {"fid": 60.0}, 2, "FID is 60"),
    (DiscriminatorOverfitting(), {"overfitting": 0.9, "signal/r_t": 0.95}, 1, "by heart"),
    (DiscriminatorDomination(), {"signal/r_t": 0.97}, 2, "no usable gradient"),
    (CollapseInCondition(), {"signal/diversity": 0.01}, 2, "latent has hardly any effect"),
    (CollapseInCondition(), {"diversity": 0.2}, 1, "0.2 times as far apart"),
    (CollapseInCondition(), {"duplicates": 0.5}, 1, "50% of the generated images have a near-duplicate"),
    (ModeDropping(), {"recall": 0.5}, 1, "recall has fallen to 0.5, it was 0.9"),
    (ModeDropping(), {"modes": 300.0}, 1, "modes has fallen to 300"),
    (ModeDropping(), {"task_accuracy/red/3": 0.2}, 1, "red 3 breaks down: task_accuracy 0.2"),
    (ModeDropping(), {"recall/red/4": 0.1}, 1, "red 4 breaks down: recall 0.1"),
    (ModeDropping(), {"fid/red/1": 900.0}, 1, "red 1 breaks down: fid 900"),
    (Memorising(), {"memorisation": 0.99, "copy_distance": 0.1}, 1, "nearer to a training image"),
]


@pytest.mark.parametrize(("rule", "change", "readings", "said"), CASES, ids=lambda value: type(value).__name__)
def test_each_rule_speaks_of_its_fault_alone(rule: Rule, change: dict[str, float], readings: int, said: str) -> None:
    history = History()
    for _ in range(4):
        history.observe(HEALTHY)
        history.accept()
        assert all(every.evidence(history) is None for every in default_rules())
    for reading in range(readings):
        assert rule.evidence(history) is None, reading  # one noisy reading is not enough where two are asked for
        history.observe(HEALTHY | change)
    assert said in str(rule.evidence(history))
    restored = History()
    restored.load_state_dict(json.loads(json.dumps(history.state_dict())))
    assert rule.evidence(restored) == rule.evidence(history)
    history.observe(HEALTHY)
    history.observe(HEALTHY)
    assert rule.evidence(history) is None  # it is over
    others = [every for every in default_rules() if type(every) is not type(rule)]
    assert all(every.evidence(restored) is None for every in others if every.verdict != rule.verdict)


def test_a_class_that_is_learned_later_is_no_alarm() -> None:
    history = History()
    late = HEALTHY | {"task_accuracy/red/3": 0.4}
    history.observe(late)
    assert ModeDropping().evidence(history) is None
    history.observe(late)
    assert "red 3 breaks down" in str(ModeDropping().evidence(history))
    history.observe(HEALTHY)
    assert ModeDropping().evidence(history) is None
    history.observe(late)  # now it has worked
    assert "red 3 breaks down" in str(ModeDropping().evidence(history))


def test_an_explosion_does_not_become_usual() -> None:
    history = History()
    for _ in range(3):
        history.observe(HEALTHY)
        history.accept()
    for _ in range(100):
        history.observe(HEALTHY | {"gradient_norm/generator": 80.0})
        assert Divergence().evidence(history) is not None


GUARDED = ["--guard.grace_kimg=0", '--guard.rules=[{"class_path": "lightning_mtgan.guard.Divergence"}]']
MEASURED = ["--fidelity.every_kimg=0.64", "--trainer.log_every_n_steps=5", *GUARDED]


def spike(step: int, factor: float = 1000) -> str:
    given = {"player": "discriminator", "factor": factor, "step": step}
    return f"--trainer.callbacks+={json.dumps({'class_path': 'benchmarks.faults.LearningRate', 'init_args': given})}"


def verdicts(run: Path) -> list[dict[str, object]]:
    return json.loads((run / "verdicts.json").read_text())


def learning_rates(run: Path) -> list[float]:
    content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return [state["param_groups"][0]["lr"] for state in content["optimizer_states"]]


def test_a_warning_is_said_once(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(*MEASURED, "--trainer.max_steps=30", spike(12))
    (told,) = verdicts(run)
    assert (told["step"], told["verdict"], told["reaction"]) == (15, "divergence", "none")
    assert "gradient of the discriminator" in str(told["evidence"])
    assert capsys.readouterr().out.count("divergence") == 1
    assert "divergence" in (run / "metrics.csv").read_text()


def test_a_healthy_run_has_no_verdicts(train: Train) -> None:
    assert not (train(*MEASURED, "--trainer.max_steps=20") / "verdicts.json").exists()


def test_a_rollback_takes_up_the_best_state_at_lower_learning_rates(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    roll = "--guard.reaction=lightning_mtgan.callbacks.RollBack"
    schedule = {"class_path": "torch.optim.lr_scheduler.LambdaLR", "init_args": {"lr_lambda": "tests.test_guard.fall"}}
    run = train(*MEASURED, "--trainer.max_steps=15", spike(12), roll)
    assert learning_rates(run)[0] == pytest.approx(1.5)  # the spike; the rollback waits for the next step
    run = train(*MEASURED, "--trainer.max_steps=16", roll, "--ckpt_path=last")
    assert "rollback 1 of 3: back to the state of step 10" in capsys.readouterr().out
    assert learning_rates(run) == [pytest.approx(0.0015 / 2)] * 2
    assert schedule
    best = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    last = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    steps = [next(iter(content["optimizer_states"][0]["state"].values()))["step"] for content in (best, last)]
    assert [int(step) for step in steps] == [10, 11]
    assert last["global_step"] == 16
    assert [told["verdict"] for told in verdicts(run)] == ["divergence", "healthy"]


def fall(step: int) -> float:
    return 0.9**step


def test_rollbacks_are_bounded(train: Train) -> None:
    roll = '--guard.reaction={"class_path": "lightning_mtgan.callbacks.RollBack", "init_args": {"at_most": 1}}'
    run = train(*MEASURED, "--trainer.max_steps=40", spike(12), spike(27, 100_000), roll)
    told = verdicts(run)
    assert [one["verdict"] for one in told] == ["divergence", "healthy", "divergence"]
    assert told[2]["reaction"] == "none: all 1 rollbacks are used up"


def test_a_run_with_a_rollback_resumes_to_the_same_bits(
    train: Train, launch: Callable[..., Launched], tmp_path: Path
) -> None:
    """Killed between the verdict and the rollback, and after it."""
    roll = "--guard.reaction=lightning_mtgan.callbacks.RollBack"
    schedule = '{"class_path": "torch.optim.lr_scheduler.StepLR", "init_args": {"step_size": 7, "gamma": 0.9}}'
    schedules = f"--model.schedulers={json.dumps({'generator': json.loads(schedule)})}"
    common = [*MEASURED, "--trainer.max_steps=28", roll, schedules, "--checkpoints.every_kimg=0.064"]
    straight = train(*common, spike(12), runs="straight")
    launch(*common, spike(12), saboteur("Kill", step=15), runs="parts").wait()
    launch(*common, spike(12), saboteur("Kill", step=21), "--ckpt_path=last", runs="parts").wait()
    assert main([*SMALL, f"--runs={tmp_path / 'parts'}", *common, spike(12), "--ckpt_path=last"]) == 0
    resumed = newest_run(tmp_path / "parts")
    assert verdicts(straight) == verdicts(resumed)
    assert len(verdicts(straight)) >= 2
    assert farthest(weights(straight), weights(resumed)) == 0
    assert learning_rates(straight) == learning_rates(resumed)
    assert learning_rates(straight)[1] == pytest.approx(0.0015 * 0.9**4 / 2)  # the schedule goes on by the step


def test_two_ranks_come_to_the_same_verdict_and_rollback(train: Train, launch: Callable[..., Launched]) -> None:
    roll = "--guard.reaction=lightning_mtgan.callbacks.RollBack"
    common = [*MEASURED, "--trainer.max_steps=22", roll, spike(12), "--trainer.precision=64-true"]
    one = train(*common, runs="one")
    two = launch(*common, ranks=2, runs="two")
    assert two.wait() == [0, 0]
    assert [(v["step"], v["verdict"]) for v in verdicts(newest_run(two.runs))] == [
        (v["step"], v["verdict"]) for v in verdicts(one)
    ]
    assert farthest(weights(one), weights(newest_run(two.runs))) < 1e-9
    figures = [json.loads((run / "summary.json").read_text())["figures"] for run in (one, newest_run(two.runs))]
    for name in ("fid", "kid", "mind", "inception_score", "recall", "coverage", "overfitting", "memorisation"):
        assert figures[0][name] == pytest.approx(figures[1][name], rel=1e-3), name


def test_stop_ends_the_run_in_order(train: Train, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    stop = "--guard.reaction=lightning_mtgan.callbacks.Stop"
    run = train(*MEASURED, "--trainer.max_steps=40", spike(12), stop)
    assert json.loads((run / "summary.json").read_text())["run"]["steps"] == 15
    (told,) = verdicts(run)
    assert told["reaction"] == "the run ends here"
    again = [*SMALL, f"--runs={tmp_path / 'runs'}", *MEASURED, "--trainer.max_steps=40", stop, "--ckpt_path=auto"]
    assert main(again) == 0
    assert "is complete at step 15 (stopped by the collapse guard: divergence" in capsys.readouterr().out
    (run / "summary.json").unlink()  # as if it had been killed in its final figures
    assert main(again) == 0
    assert json.loads((run / "summary.json").read_text())["run"]["steps"] == 15


def test_training_until_convergence(train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = ["--fidelity.every_kimg=0.32", "--convergence.patience_kimg=0.96", "--convergence.least_gain=0.9"]
    run = train(*keys, "--trainer.max_steps=100", runs="straight")
    steps = json.loads((run / "summary.json").read_text())["run"]["steps"]
    assert steps == 5 + 15  # no measurement is ten times better than the first
    assert "converged: for 0.96 kimg no FID was below" in capsys.readouterr().out
    train(*keys, "--trainer.max_steps=12", runs="parts")
    resumed = train(*keys, "--trainer.max_steps=100", "--ckpt_path=last", runs="parts")
    assert farthest(weights(run), weights(resumed)) == 0
    assert main([*SMALL, f"--runs={tmp_path / 'parts'}", *keys, "--trainer.max_steps=100", "--ckpt_path=auto"]) == 0
    assert "is complete at step 20 (converged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["--guard.grace_kimg=-1"], "guard.grace_kimg is -1"),
        (["--guard.reaction=lightning_mtgan.callbacks.RollBack"], "set fidelity.every_kimg above 0"),
        (
            ["--guard.reaction=lightning_mtgan.callbacks.RollBack", "--trainer.logger=false"],
            "RollBack needs checkpoints",
        ),
        (["--guard.reaction=lightning_mtgan.callbacks.RollBack", "--guard.reaction.factor=2"], "factor is 2"),
        (["--guard.reaction=Explode"], "Explode"),
        (["--guard.rules=[{class_path: lightning_mtgan.guard.Divergence, init_args: {fid_ration: 3}}]"], "fid_ration"),
        (["--convergence.patience_kimg=-1"], "convergence.patience_kimg is -1"),
        (["--convergence.patience_kimg=5"], "set fidelity.every_kimg above 0"),
        (["--fidelity.evaluator=null"], "neither evaluator nor extractor"),
        (
            [
                "--fidelity.extractor=lightning_mtgan.evaluation.Pretrained",
                "--fidelity.extractor.weights_path=/none.pth",
            ],
            "/none.pth",
        ),
        (["--fidelity.extractor=lightning_mtgan.evaluation.Pretrained", "--fidelity.extractor.name=inception"], "name"),
    ],
)
def test_bad_input_is_one_sentence(keys: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main([*SMALL, f"--runs={tmp_path}", "--trainer.max_steps=1", *keys]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.strip().count("\n") == 0


def test_reactions_refuse_what_makes_no_sense() -> None:
    from lightning_mtgan.callbacks import RollBack

    with pytest.raises(UserError, match="at_most 0"):
        RollBack(at_most=0)
