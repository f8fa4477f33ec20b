"""The collapse guard: what it says of which figures, and what it does through the real command line."""

from __future__ import annotations

import csv
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
    "in_a_row/generator": 0.0,
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
    (Divergence(), {"in_a_row/generator": 3.0}, 1, "3 steps in a row of phase generator were left out"),
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
    for accuracy in (0.2, 0.3, 0.4, 0.5):  # it gets better
        history.observe(HEALTHY | {"task_accuracy/red/3": accuracy})
        assert ModeDropping().evidence(history) is None
    for _ in range(2):
        history.observe(HEALTHY | {"task_accuracy/red/3": 0.5})
    assert "red 3 breaks down" in str(ModeDropping().evidence(history))
    history.observe(HEALTHY)
    assert ModeDropping().evidence(history) is None
    history.observe(HEALTHY | {"task_accuracy/red/3": 0.4})  # now it has worked
    assert "red 3 breaks down" in str(ModeDropping().evidence(history))


def test_what_a_measurement_leaves_out_is_forgotten() -> None:
    history = History()
    history.observe(HEALTHY | {"overfitting": 0.9})
    history.observe({"fid": 40.0}, gone={"overfitting"})
    history.observe({"signal/r_t": 0.95})
    assert DiscriminatorOverfitting().evidence(history) is None


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
    assert (told["step"], told["verdict"], told["reaction"]) == (20, "divergence", "none")
    assert "gradient of the" in str(told["evidence"])
    assert capsys.readouterr().out.count("divergence") == 1
    assert "divergence" in (run / "metrics.csv").read_text()


def test_a_healthy_run_has_no_verdicts(train: Train) -> None:
    assert not (train(*MEASURED, "--trainer.max_steps=20") / "verdicts.json").exists()


def test_a_rollback_takes_up_the_best_state_at_lower_learning_rates(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    roll = "--guard.reaction=lightning_mtgan.callbacks.RollBack"
    run = train(*MEASURED, "--trainer.max_steps=21", spike(12), roll)
    assert "rollback 1 of 3: back to the state of step 10" in capsys.readouterr().out
    assert learning_rates(run) == [pytest.approx(0.0015 * 0.8)] * 2
    best = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    last = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    steps = [next(iter(content["optimizer_states"][0]["state"].values()))["step"] for content in (best, last)]
    assert [int(step) for step in steps] == [10, 11]
    assert last["global_step"] == 21
    assert [told["verdict"] for told in verdicts(run)] == ["divergence", "healthy"]


def test_a_rollback_lowers_the_rates_of_a_cycle_and_of_a_changed_configuration(train: Train) -> None:
    roll = "--guard.reaction=lightning_mtgan.callbacks.RollBack"
    cycle = {"class_path": "torch.optim.lr_scheduler.OneCycleLR", "init_args": {"max_lr": 0.01, "total_steps": 100}}
    schedules = f"--model.schedulers={json.dumps({'generator': cycle})}"
    straight = train(*MEASURED, "--trainer.max_steps=23", schedules, runs="straight")
    rolled = train(*MEASURED, "--trainer.max_steps=23", schedules, spike(12), roll, runs="rolled")
    assert learning_rates(rolled)[1] == pytest.approx(learning_rates(straight)[1] * 0.8)
    train(*MEASURED, "--trainer.max_steps=11", roll, runs="changed")
    lower = "--model.optimizers.discriminator.lr=1e-4"
    changed = train(
        *MEASURED, "--trainer.max_steps=23", lower, spike(12, 1e5), roll, "--ckpt_path=last", runs="changed"
    )
    assert learning_rates(changed) == [pytest.approx(1e-4 * 0.8), pytest.approx(0.0015 * 0.8)]


def test_without_a_best_checkpoint_the_alarm_stays(train: Train) -> None:
    roll = "--guard.reaction=lightning_mtgan.callbacks.RollBack"
    keys = [key for key in MEASURED if "every_kimg" not in key]
    run = train(*keys, "--fidelity.every_kimg=1.6", "--trainer.max_steps=24", spike(12), roll)
    assert [(told["step"], told["verdict"]) for told in verdicts(run)] == [(20, "divergence")] * 2
    assert verdicts(run)[1]["reaction"] == "no rollback: there is no best checkpoint yet"


def test_a_damaged_best_checkpoint_ends_nothing(train: Train, launch: Callable[..., Launched], tmp_path: Path) -> None:
    roll = "--guard.reaction=lightning_mtgan.callbacks.RollBack"
    common = [*MEASURED, "--trainer.max_steps=23", spike(12), roll, "--checkpoints.every_kimg=0.064"]
    launch(*common, saboteur("Kill", step=20)).wait()
    run = newest_run(tmp_path / "runs")
    (run / "checkpoints" / "best.ckpt").write_bytes(b"PK nothing")
    assert train(*common, "--ckpt_path=last") == run
    assert "no rollback" in str(verdicts(run)[1]["reaction"])
    assert "cannot be read" in str(verdicts(run)[1]["reaction"])


def test_numbers_that_are_not_finite_are_rolled_back_before_they_end_the_run(train: Train) -> None:
    roll = "--guard.reaction=lightning_mtgan.callbacks.RollBack"
    poison = saboteur("Poison", phase="generator", loss="adversarial", steps=[12, 13, 14, 15])
    keys = [key for key in MEASURED if "log_every" not in key]
    run = train(*keys, "--trainer.log_every_n_steps=50", "--model.max_skips=6", "--trainer.max_steps=20", poison, roll)
    told = verdicts(run)
    assert (told[0]["step"], told[0]["verdict"]) == (15, "divergence")
    assert "3 steps in a row of phase generator" in str(told[0]["evidence"])
    assert "rollback 1 of 3" in str(told[1]["reaction"])


def test_an_owed_measurement_is_judged_when_it_is_made(train: Train, tmp_path: Path) -> None:
    """A signal comes before the measurement of step 10; the resumed run makes it, and judges it as the straight one."""
    rules = (
        '--guard.rules=[{"class_path": "lightning_mtgan.guard.CollapseInCondition", "init_args": {"diversity": 99}}]'
    )
    common = [*MEASURED, "--trainer.max_steps=14", rules, "--guard.reaction=lightning_mtgan.callbacks.RollBack"]
    straight = train(*common, runs="straight")
    stopped = [*SMALL, f"--runs={tmp_path / 'parts'}", *common]
    assert main([*stopped, saboteur("SignalBeforeEvaluation", step=10)]) == 0
    assert main([*stopped, "--ckpt_path=last"]) == 0
    resumed = newest_run(tmp_path / "parts")
    assert verdicts(straight) == verdicts(resumed)
    assert verdicts(straight)[0]["step"] == 10
    assert farthest(weights(straight), weights(resumed)) == 0


def test_a_state_under_alarm_is_never_the_best_to_go_back_to(train: Train) -> None:
    """... also not after a resume, and from a rollback on it may be again."""
    rules = (
        '--guard.rules=[{"class_path": "lightning_mtgan.guard.CollapseInCondition", "init_args": {"diversity": 99}}]'
    )
    keys = [*MEASURED, rules, "--guard.reaction=lightning_mtgan.callbacks.RollBack"]
    train(*keys, "--trainer.max_steps=12")
    run = train(*keys, "--trainer.max_steps=24", "--ckpt_path=last")
    kept = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]["Checkpoints"]
    assert kept["best_fid"] == float("inf")
    rolled = train(*MEASURED, "--trainer.max_steps=42", spike(12), keys[-1], runs="rolled")
    kept = torch.load(rolled / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]["Checkpoints"]
    assert [told["verdict"] for told in verdicts(rolled)] == ["divergence", "healthy"]
    assert kept["best_kimg"] > 20 * 0.064


def test_other_measurements_on_resume_begin_anew(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    train(*MEASURED, "--trainer.max_steps=12")
    run = train(*MEASURED, "--trainer.max_steps=22", "--ckpt_path=last", "--fidelity.periodic.seed=5")
    assert "resuming with other measurements" in capsys.readouterr().out
    content = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    assert content["global_step"] == 20


def test_rollbacks_are_bounded(train: Train) -> None:
    roll = '--guard.reaction={"class_path": "lightning_mtgan.callbacks.RollBack", "init_args": {"at_most": 1}}'
    run = train(*MEASURED, "--trainer.max_steps=40", spike(12), spike(27), roll)
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
    launch(*common, spike(12), saboteur("Kill", step=20), runs="parts").wait()
    launch(*common, spike(12), saboteur("Kill", step=25), "--ckpt_path=last", runs="parts").wait()
    assert main([*SMALL, f"--runs={tmp_path / 'parts'}", *common, spike(12), "--ckpt_path=last"]) == 0
    resumed = newest_run(tmp_path / "parts")
    assert verdicts(straight) == verdicts(resumed)
    assert len(verdicts(straight)) >= 2
    assert farthest(weights(straight), weights(resumed)) == 0
    assert learning_rates(straight) == learning_rates(resumed)
    assert learning_rates(straight)[1] == pytest.approx(0.0015 * 0.9**4 * 0.8)  # the schedule goes on by the step


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
    tables = [list(csv.DictReader((r / "metrics.csv").read_text().splitlines())) for r in (one, newest_run(two.runs))]
    for name in ("signal/margin", "signal/r_t", "signal/diversity", "gradient_norm/generator"):
        read = [[float(row[name]) for row in rows[:3] if row[name]] for rows in tables]  # before numbers explode
        assert read[0]
        assert read[0] == pytest.approx(read[1], rel=1e-5), name
    figures = [json.loads((run / "summary.json").read_text())["figures"] for run in (one, newest_run(two.runs))]
    for name in ("fid", "kid", "mind", "inception_score", "recall", "coverage", "overfitting", "memorisation"):
        assert figures[0][name] == pytest.approx(figures[1][name], rel=1e-3), name


def test_stop_ends_the_run_in_order(train: Train, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    stop = "--guard.reaction=lightning_mtgan.callbacks.Stop"
    run = train(*MEASURED, "--trainer.max_steps=40", spike(12), stop)
    assert json.loads((run / "summary.json").read_text())["run"]["steps"] == 20
    (told,) = verdicts(run)
    assert told["reaction"] == "the run ends here"
    again = [*SMALL, f"--runs={tmp_path / 'runs'}", *MEASURED, "--trainer.max_steps=40", stop, "--ckpt_path=auto"]
    assert main(again) == 0
    assert "is complete at step 20 (stopped by the collapse guard: divergence" in capsys.readouterr().out
    (run / "summary.json").unlink()  # as if it had been killed in its final figures
    for _ in range(2):  # finished, and still known to be over
        assert main(again) == 0
        assert json.loads((run / "summary.json").read_text())["run"]["steps"] == 20


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
        (
            ["--guard.rules=[{class_path: lightning_mtgan.guard.Divergence, init_args: {num_skipped: -3}}]"],
            "num_skipped",
        ),
        (["--fidelity.evaluator.channels=[digit]"], "but the tasks of the data are red, green, blue"),
        (['--fidelity.final={"num_images": 4}'], "num_images is 4, too few for 5 neighbours"),
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
