from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from PIL.ExifTags import GPS, IFD, Base
from torch import Tensor

from lightning_mtgan import __main__ as tools
from lightning_mtgan import restoring
from lightning_mtgan.corruptions import BoxInpainting, Colourisation, Damaged, Degradations, Denoising, SuperResolution
from lightning_mtgan.enhancing import photograph
from lightning_mtgan.enhancing.by_network import ByNetwork
from lightning_mtgan.enhancing.by_rule import ByRule, has_rule
from lightning_mtgan.enhancing.by_transform import ByTransform
from lightning_mtgan.enhancing.tiles import tiles
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import MTS4GAN, ImageGame, UnpairedEnhancement
from lightning_mtgan.losses import Hinge
from lightning_mtgan.networks import PatchTrunk, PredictedTransforms, ResidualTranslator, UNet
from lightning_mtgan.search.transforms import tuned
from lightning_mtgan.transforms import METHODS, Adjustable, Contrast, Gamma, Strip, Transform
from lightning_mtgan.types import DataSpec
from tests.picture_files import write_bomb, write_kinds

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


class Nudge(Transform):
    """Every pixel becomes the mean of those two rows above and below, and darker by the image's own mean."""

    name = "nudge"
    margin = 2

    def __call__(self, image: Tensor) -> Tensor:
        return self._nudged(image, image.mean())

    def look(self, pixels: Tensor) -> Strip:
        mean = pixels.float().mean() / 127.5 - 1
        return lambda rows, first: self._nudged(rows, mean)

    def _nudged(self, image: Tensor, mean: Tensor) -> Tensor:
        wide = torch.nn.functional.pad(image, (0, 0, 2, 2), mode="replicate")
        return ((wide[:, :, 4:] + wide[:, :, :-4]) / 2 - 0.1 * mean).clamp(-1, 1)


class Whole(UNet):
    margin = None  # type: ignore[assignment]


def translator(kind: type = UNet, **more: Any) -> Callable[..., Any]:
    return lambda spec, dim, encoder: kind(spec, dim, encoder, **{"width": 4, "num_blocks": 1, **more})


def game_of(generator: Callable[..., Any] | None = None, channels: int = 3, **changes: Any) -> MTS4GAN:
    """As if trained: what starts at zero would hide what stands before it."""
    torch.manual_seed(0)
    parts: dict[str, Any] = {"corruptions": [Denoising()], **changes}
    spec = DataSpec(16, channels)
    game = MTS4GAN(spec, parts["corruptions"], generator or translator(), PatchTrunk, None)
    with torch.no_grad():
        for parameter in game.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return game.eval().requires_grad_(False)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def smooth(height: int, width: int) -> Image.Image:
    """What JPEG hardly changes."""
    return Image.fromarray(noise(5, 7, 3)).resize((width, height), Image.Resampling.BICUBIC)


def enhance(given: Path, output: Path, *more: str) -> int:
    return tools.main(["enhance", f"--input={given}", f"--output={output}", *more])


@pytest.fixture(autouse=True)
def _nudge(monkeypatch: pytest.MonkeyPatch) -> None:
    """``--method nudge``, without which results could not be told from what was given."""
    monkeypatch.setitem(METHODS, "nudge", Nudge)


@pytest.mark.parametrize("margin", [0, 1, 4, 12, 40])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (31, 130), (97, 5)])
def test_tiles_cover_each_pixel_once_and_see_enough(height: int, width: int, margin: int) -> None:
    times, seen = torch.zeros(height, width), torch.arange(height * width).view(height, width)
    for tile in tiles(height, width, margin, 16):
        times[tile.place] += 1
        assert torch.equal(seen[tile.seen][tile.inner], seen[tile.place])
        for place, outer, length in zip(tile.place, tile.seen, (height, width), strict=True):
            assert outer.start == max(0, place.start - margin) and outer.start % max(1, margin) == 0
            assert outer.stop == min(length, place.stop + margin)
            assert place.stop - place.start <= max(16, margin) + 2 * margin
    assert (times == 1).all()


@pytest.mark.parametrize("kind", [UNet, ResidualTranslator])
@pytest.mark.parametrize(("halvings", "blocks"), [(0, 1), (1, 0), (2, 1), (3, 0)])
def test_nothing_beyond_the_margin_is_read(kind: type, halvings: int, blocks: int) -> None:
    torch.manual_seed(0)
    network = kind(DataSpec(16, 1), 0, width=2, num_halvings=halvings, num_blocks=blocks).double()
    multiple, margin = network.encoder.multiple, network.margin
    assert margin % multiple == 0
    with torch.no_grad():  # all positive, so that no influence cancels another
        for parameter in network.parameters():
            parameter.copy_(parameter.abs() + 0.05)
    side = 2 * margin + 4 * multiple
    image = torch.zeros(3, 1, side, side, dtype=torch.float64, requires_grad=True)
    number = torch.arange(3)
    places = margin + number * (multiple - 1) // 2  # first, middle and last within a pixel of the lowest map
    network(image, torch.zeros_like(image), image.new_zeros(3, 0))[number, 0, places, places].sum().backward()
    assert image.grad is not None
    which, _, row, column = image.grad.nonzero().T
    farthest = max((row - places[which]).abs().max(), (column - places[which]).abs().max())
    assert margin - multiple < farthest <= margin


@pytest.mark.parametrize("kind", [UNet, ResidualTranslator])
def test_tiles_leave_no_seams(kind: type) -> None:
    game, image = game_of(translator(kind)), torch.from_numpy(noise(3, 301, 173))
    given = Damaged(image[None].float() / 127.5 - 1, torch.zeros(1, 1, 301, 173))
    expected = game.restore(given, ["denoising"])
    assert game.margin == 28 and (expected - given.image).abs().mean() > 0.1
    assert (restoring.whole(game, given, "denoising", tile=64) - expected).abs().max() < 1e-4
    told = list[None]()
    enhanced = ByNetwork(game, None, tile=64)(image, lambda: told.append(None))
    assert len(told) == len(tiles(301, 173, 28, 64)) > 20
    off = (enhanced.float() / 127.5 - 1 - expected[0]).abs()
    assert enhanced.dtype == torch.uint8 and off.max() < 0.5 / 127.5 + 1e-4


def test_holes_larger_than_a_tile_leave_no_seams() -> None:
    game, known = game_of(corruptions=[BoxInpainting()]), torch.ones(1, 1, 90, 120)
    known[..., 10:80, 10:110] = 0
    image = (torch.from_numpy(noise(3, 90, 120))[None].float() / 127.5 - 1) * known
    expected = game.restore(Damaged(image, known), ["box_inpainting"])
    tiled = restoring.whole(game, Damaged(image, known), "box_inpainting", tile=1)
    assert torch.equal(tiled * known, image) and (tiled - expected).abs().max() < 1e-4


def test_networks_that_must_see_all_do_so_up_to_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    game, image = game_of(translator(Whole)), torch.from_numpy(noise(3, 61, 40))
    assert game.margin is None
    one = ByNetwork(game, None, tile=8)
    given = Damaged(image[None].float() / 127.5 - 1, torch.zeros(1, 1, 61, 40))
    expected = ((game.restore(given, ["denoising"])[0] + 1) * 127.5).round().byte()
    assert len(one.tiles(61, 40)) == 1 and torch.equal(one(image, lambda: None), expected)
    assert torch.equal(restoring.whole(game, given, "denoising", tile=8), game.restore(given, ["denoising"]))
    monkeypatch.setattr(restoring, "MOST_AT_ONCE", 61 * 40)
    one.require_possible("a.png", 61, 40)
    with pytest.raises(UserError, match=r"a\.png has 40 x 62 pixels, and this generator must see all of them"):
        one.require_possible("a.png", 62, 40)
    ByNetwork(game_of(), None).require_possible("a.png", 10_000, 10_000)


@pytest.mark.parametrize("kind", ["paired", "unpaired"])
def test_predicted_transforms_see_all_of_a_large_photograph_and_work_in_strips(kind: str) -> None:
    if kind == "paired":
        game: ImageGame = game_of(PredictedTransforms)
    else:
        small = [partial(PatchTrunk, width=2, num_halvings=1)] * 2
        parts = [Denoising(), Colourisation()]
        game = UnpairedEnhancement(game_of().spec, parts, PredictedTransforms, *small, Hinge(), Hinge(), 2, 4)
    with torch.no_grad():
        game.generator.head.last.weight.normal_(0, 0.3)  # type: ignore[union-attr, operator]
    by = ByRule(game, "denoising")
    assert has_rule(by) and not has_rule(ByNetwork(game_of(), "denoising"))
    by.require_possible("x", 10**5, 10**5)
    pixels = torch.from_numpy(np.array(smooth(150, 101))).permute(2, 0, 1)
    expected = ByNetwork(game, "denoising")(pixels, lambda: None)
    gap = (by(pixels, lambda: None).int() - expected.int()).abs()
    assert gap.max() <= 3  # between transforms it is rounded to 8 bits
    assert (expected.int() - pixels.int()).abs().float().mean() > 5


def test_what_a_generator_does_unasked() -> None:
    several = game_of(corruptions=[Denoising(), Degradations([Denoising()]), BoxInpainting(), SuperResolution()])
    assert ByNetwork(several, None).name == "enhancement" and ByNetwork(several, "denoising").name == "denoising"
    assert ByNetwork(game_of(), None).name == "denoising"
    for task, says in (
        ("box_inpainting", "--task box_inpainting fills holes or enlarges"),
        ("super_resolution", "use the command generate with --images and --restore super_resolution"),
        ("sharpening", "--task sharpening is nothing .* it knows denoising, enhancement"),
    ):
        with pytest.raises(UserError, match=says):
            ByNetwork(several, task)
    with pytest.raises(UserError, match=r"--task is missing: .* one of denoising, colourisation"):
        ByNetwork(game_of(corruptions=[Denoising(), Colourisation()]), None)
    with pytest.raises(UserError, match="images with 2 channels"):
        ByNetwork(game_of(channels=2), None)


def test_generators_are_given_what_they_were_trained_on() -> None:
    game, pixels = game_of(corruptions=[Colourisation()]), torch.from_numpy(noise(3, 20, 12))
    grey = Colourisation().prepared(pixels[None].float() / 127.5 - 1, torch.ones(1, 1, 20, 12))
    expected = ((game.restore(grey, ["colourisation"])[0] + 1) * 127.5).round().byte()
    assert torch.equal(ByNetwork(game, None)(pixels, lambda: None), expected)


@pytest.mark.parametrize("strip", [1, 70, 190, 10_000])
def test_strips_leave_no_seams(strip: int) -> None:
    pixels, told = torch.from_numpy(noise(3, 57, 19)), list[None]()
    one = ByTransform(Nudge(), strip)
    expected = ((Nudge()(pixels[None].float() / 127.5 - 1)[0] + 1) * 127.5).round().byte()
    made = one(pixels, lambda: told.append(None))
    assert (made.int() - expected.int()).abs().max() <= 1 and (made != expected).float().mean() < 1e-3
    assert len(told) == len(one.tiles(57, 19)) and (len(told) > 1) == (strip < 57 * 19)


def test_a_folder_keeps_names_and_kinds(tmp_path: Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    write_kinds(folder)
    (folder / "notes.txt").write_text("no image")
    for name in ("rgb.bmp", "rgb.tiff", "sixteen.tif"):  # which would become PNG of names that are there already
        (folder / name).rename(folder / f"{name[-3:]}_{name}")
    assert enhance(folder, output, "--method=nudge") == 0
    kept = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
    files = [path for path in folder.iterdir() if path.suffix != ".txt"]
    names = {path: path.name if path.suffix.lower() in kept else f"{path.stem}.png" for path in files}
    assert {path.name for path in output.iterdir()} == set(names.values()) and len(names) == 14
    for path, name in names.items():
        grey = any(word in name for word in ("grey", "sixteen", "float"))
        mode = "L" if grey else "RGBA" if name == "transparent.png" else "RGB"
        expected = ByTransform(Nudge())(photograph.read(path, None).pixels, lambda: None)
        with Image.open(output / name) as made:
            assert (made.format, made.mode, made.size) == (kept.get(path.suffix.lower(), "PNG"), mode, (48, 48))
            got = np.array(made.convert("L" if grey else "RGB")).reshape(48, 48, -1)
            off = np.abs(got.astype(float) - expected.movedim(0, 2).numpy()).mean()
            assert off == 0 if made.format == "PNG" else off < 2


def test_alpha_is_kept_and_hidden_colours_too(tmp_path: Path) -> None:
    pixels = noise(9, 8, 4)
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(pixels, "RGBA").save(folder / "colour.png")
    Image.fromarray(pixels[..., 2:], "LA").save(folder / "grey.png")
    Image.fromarray(pixels, "RGBA").save(folder / "colour.webp", lossless=True, exact=True)
    palette = Image.fromarray(pixels[..., 0] % 3, "P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.save(folder / "palette.png", transparency=1)
    assert enhance(folder, tmp_path / "out", "--method=nudge") == 0
    for name, mode in (("colour.png", "RGBA"), ("grey.png", "LA"), ("colour.webp", "RGBA"), ("palette.png", "RGBA")):
        with Image.open(tmp_path / "out" / name) as made, Image.open(folder / name) as given:
            assert made.mode == mode
            assert np.array_equal(made.getchannel("A"), given.convert("RGBA").getchannel("A"))
    with Image.open(tmp_path / "out" / "colour.png") as made:
        given = torch.from_numpy(pixels[..., :3].copy()).movedim(2, 0)
        expected = ByTransform(Nudge())(given, lambda: None).movedim(0, 2)
        assert np.array_equal(np.asarray(made)[..., :3], expected)


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
def test_what_the_camera_noted_is_kept_and_pixels_stand_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    upright, exif = smooth(40, 64), Image.Exif()
    exif[Base.Orientation], exif[Base.Make], exif[Base.Copyright] = orientation, "Camera", "someone"
    exif.get_ifd(IFD.Exif).update({Base.ISOSpeedRatings: 400, Base.MakerNote: b"secret"})
    exif.get_ifd(IFD.GPSInfo).update({GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (47.0, 22.0, 7.5)})
    back = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}.get(orientation)
    stored = upright.transpose(back) if back is not None else upright
    exif.get_ifd(IFD.Exif).update({Base.ExifImageWidth: stored.width, Base.ExifImageHeight: stored.height})
    more: dict[str, Any] = {"lossless": True} if kind == "webp" else {"quality": 98} if kind == "jpg" else {}
    stored.save(tmp_path / f"a.{kind}", exif=exif.tobytes(), icc_profile=SRGB, **more)
    assert enhance(tmp_path / f"a.{kind}", tmp_path / "out", "--method=nudge") == 0
    (path,) = (tmp_path / "out").iterdir()
    expected = ByTransform(Nudge())(torch.from_numpy(np.array(upright)).movedim(2, 0), lambda: None).movedim(0, 2)
    with Image.open(path) as made:
        made.load()
        assert made.size == (64, 40) and made.info["icc_profile"] == SRGB
        assert np.abs(np.asarray(made).astype(float) - expected.numpy()).mean() < 3
        found = made.getexif()
        assert (found[Base.Orientation], found[Base.Make], found[Base.Copyright]) == (1, "Camera", "someone")
        inner, place = found.get_ifd(IFD.Exif), found.get_ifd(IFD.GPSInfo)
        assert (inner[Base.ISOSpeedRatings], inner[Base.MakerNote]) == (400, b"secret")
        assert place == {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (47.0, 22.0, 7.5)}
        assert (inner[Base.ExifImageWidth], inner[Base.ExifImageHeight]) == (64, 40) and Base.StripOffsets not in found


def test_profiles_and_notes_that_do_not_fit_are_left_out(tmp_path: Path) -> None:
    Image.fromarray(noise(8, 8), "L").save(tmp_path / "grey.png", icc_profile=SRGB[:16] + b"GRAY" + SRGB[20:])
    assert photograph.read(tmp_path / "grey.png", None).profile is not None
    assert photograph.read(tmp_path / "grey.png", 3).profile is None
    assert photograph.read(tmp_path / "grey.png", 3).pixels.shape == (3, 8, 8)
    assert photograph.read(tmp_path / "grey.png", None).exif is None
    smooth(8, 8).save(tmp_path / "broken.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert photograph.read(tmp_path / "broken.jpg", None).exif is None


def test_notes_that_a_jpeg_has_no_room_for_are_left_out(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[Base.Make] = "Camera"
    exif.get_ifd(IFD.Exif).update({Base.ISOSpeedRatings: 400, Base.MakerNote: b""})
    missing = 65_533 - len(exif.tobytes())  # no room for the orientation, which is added
    exif.get_ifd(IFD.Exif)[Base.MakerNote] = bytes(missing - missing % 2)
    block = exif.tobytes()
    smooth(8, 8).save(tmp_path / "a.jpg", exif=block)
    smooth(8, 8).save(tmp_path / "a.png", exif=block)
    assert enhance(tmp_path, tmp_path / "out", "--method=gamma") == 0
    for name, has_all in (("a.jpg", False), ("a.png", True)):
        with Image.open(tmp_path / "out" / name) as made:
            found = made.getexif()
        inner = found.get_ifd(IFD.Exif)
        assert found[Base.Make] == "Camera" and inner[Base.ISOSpeedRatings] == 400
        assert (Base.MakerNote in inner) is has_all
    exif = Image.Exif()
    exif[Base.ImageDescription] = "a" * 65_480
    smooth(8, 8).save(tmp_path / "long.jpg", exif=exif.tobytes())
    assert photograph.read(tmp_path / "long.jpg", None).exif is not None
    exif[Base.ImageDescription] = "a" * (65_480 + 65_533 - len(exif.tobytes()))
    smooth(8, 8).save(tmp_path / "long.jpg", exif=exif.tobytes())
    assert photograph.read(tmp_path / "long.jpg", None).exif is None


def test_nothing_is_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smooth(8, 8).save(tmp_path / "a.png")
    found, target = photograph.read(tmp_path / "a.png", None), tmp_path / "out" / "a.png"
    target.parent.mkdir()
    target.write_bytes(b"before")

    def cut(self: Image.Image, path: Path, **more: Any) -> None:
        path.write_bytes(b"half")
        raise OSError("no room")

    monkeypatch.setattr(Image.Image, "save", cut)
    with pytest.raises(OSError, match="no room"):
        photograph.write(found, target)
    assert target.read_bytes() == b"before" and [path.name for path in target.parent.iterdir()] == ["a.png"]


def test_a_checkpoint_enhances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    game = game_of()
    monkeypatch.setattr(tools, "_game", lambda arguments: game)
    folder = tmp_path / "in"
    folder.mkdir()
    pixels = noise(21, 34, 3)
    Image.fromarray(pixels).save(folder / "colour.png")
    Image.fromarray(pixels[..., 0], "L").save(folder / "grey.png")
    assert enhance(folder, tmp_path / "out", "--checkpoint=some.ckpt") == 0
    for name, shown in (("colour", pixels), ("grey", pixels[..., :1].repeat(3, 2))):
        image = torch.from_numpy(shown.copy()).movedim(2, 0)[None].float() / 127.5 - 1
        made = game.restore(Damaged(image, torch.zeros(1, 1, 21, 34)), ["denoising"])[0]
        expected = ((made + 1) * 127.5).round().byte().movedim(0, 2)
        with Image.open(tmp_path / "out" / f"{name}.png") as found:
            assert np.array_equal(np.asarray(found), expected)


def test_mistakes_are_told_before_anything_is_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, output, nudge = tmp_path / "in", tmp_path / "out", "--method=nudge"
    for name in ("in", "empty", "broken", "bomb", "twice"):
        (tmp_path / name).mkdir()
    smooth(9, 9).save(folder / "a.png")
    smooth(9, 9).save(tmp_path / "twice" / "a.png")
    smooth(9, 9).save(tmp_path / "twice" / "a.bmp")
    whole = (folder / "a.png").read_bytes()
    (tmp_path / "broken" / "a.png").write_bytes(whole)
    (tmp_path / "broken" / "b.png").write_bytes(whole[: len(whole) // 2])
    write_bomb(tmp_path / "bomb" / "a.png")
    file = tmp_path / "file"
    file.write_text("in the way")
    for given, to, arguments, says in (
        (folder, output, [], "one of the arguments --checkpoint --method is required"),
        (folder, output, [nudge, "--checkpoint=a.ckpt"], "not allowed with argument"),
        (folder, output, ["--checkpoint=none.ckpt"], "checkpoint none.ckpt does not exist"),
        (folder, output, ["--method=magic"], "clahe"),
        (folder, output, [nudge, "--task=denoising"], "--task denoising is for generators"),
        (folder, output, [nudge, "--raw"], "--raw is for generators"),
        (tmp_path / "none", output, [nudge], "does not exist; name an image or a folder of images"),
        (tmp_path / "empty", output, [nudge], "holds no images"),
        (tmp_path / "broken", output, [nudge], "b.png cannot be decoded"),
        (tmp_path / "bomb", output, [nudge], "a decompression bomb"),
        (tmp_path / "twice", output, [nudge], "a.bmp and a.png would both become a.png"),
        (file, output, [nudge], "not an image, whatever its name says"),
        (folder, folder / ".." / "in", [nudge, "--overwrite"], "is the folder of the photographs themselves"),
        (folder / "a.png", folder, [nudge, "--overwrite"], "is the folder of the photographs themselves"),
        (folder, file, [nudge], "cannot be written"),
    ):
        assert enhance(given, to, *arguments) == 2
        said = capfd.readouterr().err
        assert says in said and said.count("\n") == 1
        assert not output.exists()
    monkeypatch.setattr(tools, "_game", lambda arguments: torch.nn.Module())
    assert enhance(folder, output, "--checkpoint=a.ckpt") == 2
    assert "is of a Module, which takes no images" in capfd.readouterr().err
    assert enhance(folder, output, nudge) == 0
    before = (output / "a.png").stat().st_mtime_ns
    capfd.readouterr()
    assert enhance(folder, output, nudge) == 2
    assert "out/a.png is there already; add --overwrite" in capfd.readouterr().err
    assert (output / "a.png").stat().st_mtime_ns == before
    assert enhance(folder, output, nudge, "--overwrite") == 0
    assert (output / "a.png").stat().st_mtime_ns > before
    capfd.readouterr()
    (output / "a.png").unlink()
    (output / "a.png").mkdir()
    assert enhance(folder, output, nudge, "--overwrite") == 2
    assert "out/a.png is a folder" in capfd.readouterr().err
    assert list((output / "a.png").iterdir()) == []


def _images(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    return (torch.nn.functional.interpolate(coarse, 12, mode="bilinear") * 255).byte()


def test_amounts_are_found_that_undo_the_damage() -> None:
    truth = _images(3)
    image = truth.float() / 127.5 - 1
    kinds: list[type[Adjustable]] = [Contrast, Gamma]
    damaged = ((Contrast(0.6)(image) + 1) * 127.5).round().byte()  # type: ignore[call-arg]
    found, best = tuned(kinds, damaged, truth, 25, seed=1)
    _, nothing = tuned(kinds, damaged, truth, 1, seed=1)
    assert best > nothing + 3 and [type(one) for one in found.transforms] == kinds
    again, same = tuned(kinds, damaged, truth, 25, seed=1)
    amounts = [[one.amount for one in p.transforms if isinstance(one, Adjustable)] for p in (found, again)]
    assert same == best and amounts[0] == amounts[1] and len(amounts[0]) == 2
    enhanced = ((found(damaged.float() / 127.5 - 1) + 1) * 127.5).round().clamp(0, 255)
    error = (enhanced - truth.float()).square().flatten(1).mean(1).double()
    assert (10 * (255**2 / error).log10()).mean().item() == pytest.approx(best)


def test_amounts_are_never_worse_than_none() -> None:
    truth = _images(2)
    damaged = (truth.int() - 1).clamp(min=0).byte()
    error = (damaged.int() - truth.int()).square().float().flatten(1).mean(1)
    found, best = tuned([Gamma], damaged, truth, 1, seed=0)
    assert [one.amount for one in found.transforms if isinstance(one, Adjustable)] == [Gamma.neutral]
    assert best == pytest.approx((10 * (255**2 / error).log10()).mean().item(), abs=1e-4)
    for kinds, image, trials, says in (
        ([], damaged, 1, "kinds is empty"),
        ([Gamma], damaged, 0, "num_trials is 0"),
        ([Gamma], damaged[:1], 1, "damaged is .*1, 3, 12, 12.* and truth"),
    ):
        with pytest.raises(UserError, match=says):
            tuned(kinds, image, truth, trials, 0)
