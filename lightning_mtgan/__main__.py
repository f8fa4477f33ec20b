"""Everything that is not training: ``python -m lightning_mtgan generate`` and ``evaluate``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the imports below take seconds, and Ctrl-C there is no failure

import torch
from lightning.pytorch import LightningDataModule

from lightning_mtgan import checkpoint, generating, restoring, workspace
from lightning_mtgan.callbacks.summary import print_figures, write_json
from lightning_mtgan.cli import DataCommand, build
from lightning_mtgan.conditions import parse_conditions
from lightning_mtgan.data import FewLabels, ImageDataModule, ImageFolder
from lightning_mtgan.data.streams import write_stream
from lightning_mtgan.data.summary import print_summary
from lightning_mtgan.draws import seed_of
from lightning_mtgan.enhancing import command as enhancing
from lightning_mtgan.errors import RunFailed, UserError
from lightning_mtgan.evaluation import Evaluator, Extractor, Jury, Protocol, Similarity, measurement_of
from lightning_mtgan.games import Game, ImageGame, TranslationGame
from lightning_mtgan.page import write_page
from lightning_mtgan.pictures import beside_its_maps, labelled, save
from lightning_mtgan.relations import command as related
from lightning_mtgan.reporting import quiet_lightning, user_errors
from lightning_mtgan.search import command as searching
from lightning_mtgan.tasks import make_tasks
from lightning_mtgan.translating import command as translating
from lightning_mtgan.types import TaskKind


class _Parser(argparse.ArgumentParser):
    """Reports a mistake as one sentence."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")


def generate(arguments: argparse.Namespace) -> None:
    """Write images, a contact sheet, and what each image was asked to show; or restore a folder of images."""
    if arguments.num_images < 1:
        raise UserError(f"--num_images is {arguments.num_images}; it must be at least 1")
    game = _game(arguments)
    if isinstance(game, TranslationGame):
        raise UserError("this generator makes nothing of noise, it translates images; use the command translate")
    parts = generating.chosen(game, arguments.domain)
    if isinstance(game, ImageGame):
        if arguments.images is None:
            raise UserError("--images is missing: this generator restores images; name a folder of them")
        if arguments.condition:
            raise UserError(
                f"--condition {arguments.condition[0]}: this generator restores what an image shows; leave it"
            )
        restoring.chosen(game, arguments.restore)
        restoring.images_of(arguments.images)
        restoring.restore_folder(game, arguments.images, arguments.restore, _writable_folder(arguments.output))
        return
    if arguments.images is not None or arguments.restore is not None:
        raise UserError("--images and --restore are for generators that take images; this one makes them of noise")
    given = parse_conditions(game.tasks, arguments.condition, arguments.num_images)
    generating.require_asked(game, arguments.condition)
    folder = _writable_folder(arguments.output)
    generating.write_images(game, parts, arguments.num_images, given, arguments.seed, arguments.show_channels, folder)


def evaluate(arguments: argparse.Namespace) -> None:
    """Measure a checkpoint by the full protocol that its run was configured with."""
    path = Path(arguments.checkpoint)
    game = _game(arguments)
    content = checkpoint.read(path)
    config = content[checkpoint.KEY]["config"]
    data = _data(content)
    judges = {"evaluator": Evaluator, "extractor": Extractor}
    built = {n: build(kind, given) for n, kind in judges.items() if (given := config["fidelity"].get(n)) is not None}
    jury = Jury.of(built.get("evaluator"), built.get("extractor"))
    assert jury is not None
    changes = {name: getattr(arguments, name) for name in ("num_images", "split", "seed")}
    plain = config["fidelity"]["final"] or config["fidelity"]["periodic"]
    protocol = Protocol(**{**plain, **{name: value for name, value in changes.items() if value is not None}})
    if protocol.split not in data.splits:
        raise UserError(f"--split {protocol.split}: the data has no such split; it has {', '.join(data.splits)}")
    output = Path(arguments.output)
    if output.is_dir():
        raise UserError(f"--output {output} is a folder; name a JSON file in it")
    _writable_folder(output.parent)
    cache = config["fidelity"].get("cache")
    given = config["fidelity"].get("similarity")
    similarity = build(Similarity, given) if given is not None else None
    measurement = measurement_of(jury, data, game, Path(cache) if cache is not None else None, similarity)
    seed = seed_of("fidelity", protocol.seed)
    fake, (real, known) = measurement.generate(protocol, seed), measurement.real_images(protocol)
    opinions = measurement.opinions(_game(arguments, averaged=False), protocol, seed)
    restorations = measurement.restorations(protocol, seed)
    measured = measurement.figures(fake, real, known, opinions, protocol, restorations)
    assert measured is not None
    figures, facts = measured
    write_json(output, {"figures": figures, "protocol": facts, "run": {"checkpoint": str(path)}})
    print_figures(figures, facts, output)


def report(arguments: argparse.Namespace) -> None:
    """Write index.html of a run: curves, samples, verdicts and figures in one file."""
    print(write_page(Path(arguments.run_folder)))


def inspect_data(arguments: argparse.Namespace) -> None:
    """Show what a training would be fed: a summary, everything that is wrong, and a labelled picture.

    Takes the arguments of train.py, for example --config conf/images.yaml --data.root my_images.
    """
    if arguments.num_images < 1:
        raise UserError(f"--num_images is {arguments.num_images}; it must be at least 1")
    if arguments.output.is_dir():
        raise UserError(f"--output {arguments.output} is a folder; name a PNG file in it")
    _writable_folder(arguments.output.parent)
    data: ImageDataModule = DataCommand(arguments.training).datamodule
    print_summary(data.summary())
    images, tasks = data.dataset("train"), make_tasks(data.spec.tasks)
    rows = images[torch.arange(min(arguments.num_images, len(images)))]
    pixels = rows["image"].float() / 127.5 - 1
    targets = {name: task.target({"image": pixels, "targets": rows["targets"]}) for name, task in tasks.items()}
    maps = [target for name, target in targets.items() if tasks[name].spec.kind is TaskKind.DENSE]
    captions = [
        "\n".join(task.describe(targets[name][index]) for name, task in tasks.items()) for index in range(len(pixels))
    ]
    save(labelled(beside_its_maps(pixels, maps), captions, 8), arguments.output)
    print(f"{len(pixels)} training images with their labels are in {arguments.output}")


def stream_data(arguments: argparse.Namespace) -> None:
    """Write the data of a training as a stream of chunks, for machines that cannot hold it whole.

    Takes the arguments of train.py; train on the result with --data lightning_mtgan.data.Streamed --data.root FOLDER.
    """
    data = DataCommand(arguments.training).datamodule
    if not isinstance(data, ImageDataModule):
        raise UserError("write-stream takes one data set; give --data of each domain, and write them one by one")
    write_stream(data, arguments.output, arguments.num_workers)
    print(f"the stream is in {arguments.output}")


def relations(arguments: argparse.Namespace) -> None:
    """Say which task helps which: gradients compared, and what a step on one loss does to the others."""
    content = checkpoint.read(Path(arguments.checkpoint))
    with torch.random.fork_rng(devices=[]):  # to build networks draws numbers
        game = _game(arguments, averaged=False)
        config, step = content[checkpoint.KEY]["config"], content["global_step"]
        folder = _writable_folder(arguments.output)
        related.run(arguments, game, _data(content), config, step, folder)


def translate(arguments: argparse.Namespace) -> None:
    """Show what images of one domain would be in the others, by a generator of several domains."""
    order = translating.checked(arguments, _game(arguments))
    translating.run(arguments, order, _writable_folder(arguments.output))


def enhance(arguments: argparse.Namespace) -> None:
    """Make photographs of any size better, by a trained generator or by a transform; they keep their names."""
    enhancer = enhancing.by(arguments, _game(arguments) if arguments.checkpoint is not None else None)
    works = enhancing.checked(arguments, enhancer)
    enhancing.run(works, enhancer, _writable_folder(arguments.output))


def _game(arguments: argparse.Namespace, averaged: bool = True) -> Game:
    path = Path(arguments.checkpoint)
    game = checkpoint.build_game(checkpoint.read(path), path, averaged=averaged and not arguments.raw)
    return game.to("cuda" if torch.cuda.is_available() else "cpu")


def _data(content: Mapping[str, Any]) -> Any:
    """The data of the run that wrote a checkpoint."""
    config = content[checkpoint.KEY]["config"]
    of_run = {**config["data"], "init_args": {**config["data"].get("init_args", {}), "seed": config["seed"]}}
    data = build(LightningDataModule, of_run)
    if isinstance(data, FewLabels | ImageFolder) and (state := content.get(type(data).__qualname__)):
        data.load_state_dict(state)
    return data


def _writable_folder(folder: Path) -> Path:
    """The folder, made if need be.

    Raises:
        UserError: If nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"--output {folder} cannot be written ({error.strerror}); choose another folder") from error
    return folder


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m lightning_mtgan", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
        sub.set_defaults(run=run)
        sub.add_argument("--checkpoint", required=True, help="a .ckpt file of train.py")
        sub.add_argument("--raw", action="store_true", help="take the last parameters, not their moving average")
        return sub

    sub = command("generate", generate)
    sub.add_argument("--num_images", type=int, default=64)
    sub.add_argument("--output", type=Path, default=Path("generated"), help="folder for the PNG files")
    sub.add_argument(
        "--condition",
        action="append",
        default=[],
        metavar="TASK=VALUE",
        help="what to show, for example red=3; may be repeated; other tasks are drawn at random",
    )
    sub.add_argument(
        "--domain",
        action="append",
        default=[],
        metavar="NAME",
        help="a domain to show, for generators of several; may be repeated; default: all of them",
    )
    sub.add_argument("--images", type=Path, help="folder of images to restore, for generators that take images")
    sub.add_argument("--restore", metavar="TASK", help="what is to be done to them, for example denoising")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--show_channels", action="store_true", help="sheet: red, green and blue beside each image")
    sub = command("evaluate", evaluate)
    sub.add_argument("--output", type=Path, default=Path("figures.json"), help="JSON file for the figures")
    sub.add_argument("--num_images", type=int, help="default: as the run's final protocol")
    sub.add_argument("--split", help="data to compare with; default: as the run's final protocol")
    sub.add_argument("--seed", type=int, help="seed of the generated images; default: as the run's final protocol")
    translating.add_arguments(command("translate", translate))
    sub = commands.add_parser("enhance", help=enhance.__doc__, description=enhance.__doc__)
    sub.set_defaults(run=enhance)
    enhancing.add_arguments(sub)
    sub = commands.add_parser("report", help=report.__doc__, description=report.__doc__)
    sub.set_defaults(run=report)
    sub.add_argument("--run_folder", required=True, help="runs/<name>/version_<k>")
    sub = commands.add_parser("inspect-data", help=inspect_data.__doc__, description=inspect_data.__doc__)
    sub.set_defaults(run=inspect_data, training=[])
    sub.add_argument("--output", type=Path, default=Path("data.png"), help="PNG file for the labelled images")
    sub.add_argument("--num_images", type=int, default=32, help="images in it")
    sub = commands.add_parser("write-stream", help=stream_data.__doc__, description=stream_data.__doc__)
    sub.set_defaults(run=stream_data, training=[])
    sub.add_argument("--output", type=Path, required=True, help="folder that does not exist yet")
    sub.add_argument("--num_workers", type=int, default=0, help="processes that fetch the images")
    sub = commands.add_parser("relations", help=relations.__doc__, description=relations.__doc__)
    sub.set_defaults(run=relations)
    related.add_arguments(sub)
    about = searching.search.__doc__
    sub = commands.add_parser("search", help=about, description=about, allow_abbrev=False)
    sub.set_defaults(run=searching.search, training=[])
    searching.add_arguments(sub)
    about = workspace.dashboard.__doc__
    sub = commands.add_parser("build_dashboard", help=about, description=about)
    sub.set_defaults(run=workspace.dashboard)
    workspace.add_arguments(sub)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 2 for a mistake in the input, 1 for what cannot go on, 130 for Ctrl-C."""
    try:
        with user_errors():
            quiet_lightning()
            parser = _parser()
            parsed, others = parser.parse_known_args(arguments)
            if "training" in parsed:
                parsed.training = others
            elif others:
                parser.error(f"unrecognized arguments: {' '.join(others)}")
            with torch.no_grad():
                parsed.run(parsed)
            return 0
        return 2
    except RunFailed as failure:
        print(f"error: {' '.join(str(failure).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped by SIGINT", file=sys.stderr)
        return 130


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
