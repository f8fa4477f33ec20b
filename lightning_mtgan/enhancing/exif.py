"""What a camera has noted about a photograph, as it is after its pixels were turned."""

from __future__ import annotations

import contextlib
import math
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD, Base

from lightning_mtgan.image_files import BROKEN

OF_TIFF = (
    *(Base.ImageDescription, Base.Make, Base.Model, Base.XResolution, Base.YResolution, Base.ResolutionUnit),
    *(Base.Software, Base.DateTime, Base.Artist, Base.Copyright),
)
"""Tags of a TIFF file that speak of the photograph, not of how the file is laid out."""


def described(image: Image.Image, most: float = math.inf) -> bytes | None:
    """The EXIF block of a decoded image that was turned upright; None where there is none.

    Its orientation is 1, and width and height are those of the image as it is now. A thumbnail of the old pixels is
    left out, and what only the camera's maker can read if the block is too long with it. Of a broken block, or one that
    is too long even so, nothing is taken.

    Args:
        image: The image.
        most: Bytes that the block may have.
    """
    with contextlib.suppress(*BROKEN):
        given = image.getexif()
        outer = {tag: value for tag, value in given.items() if image.format != "TIFF" or tag in OF_TIFF}
        exif = Image.Exif()
        exif.update({tag: value for tag, value in outer.items() if tag not in tuple(IFD)})
        inner = {ifd: tags for ifd in (IFD.Exif, IFD.GPSInfo) if (tags := dict(given.get_ifd(ifd)))}
        for ifd, tags in inner.items():
            exif.get_ifd(ifd).update(_whole(tags, given, image))
        if inner or len(exif):
            exif[Base.Orientation] = 1
            block = exif.tobytes()
            if len(block) > most:
                exif.get_ifd(IFD.Exif).pop(Base.MakerNote, None)
                block = exif.tobytes()
            return block if len(block) <= most else None
    return None


def _whole(tags: dict[int, Any], given: Image.Exif, image: Image.Image) -> dict[int, Any]:
    """A block within the block: with what it points to, and with the size that the image has now."""
    if IFD.Interop in tags:
        tags[IFD.Interop] = dict(given.get_ifd(IFD.Interop))
    sizes = {Base.ExifImageWidth: image.width, Base.ExifImageHeight: image.height}
    return tags | {tag: length for tag, length in sizes.items() if tag in tags}
