"""One image file, read safely: four formats, a cap on the pixels, upright, without transparency.

Pillow is imported here only, and inside the functions, so that a listing of the data sets does not wait for it.
"""

from __future__ import annotations

import errno
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simulacra.data.dataset import Unreadable
from simulacra.data.spec import DataSpec
from simulacra.errors import DataError, UsageError, cause
from simulacra.fields import Levels
from simulacra.files import open_regular, size_of

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")  # few, because each decoder is one more way in for a hostile file
FILMS = ("GIF",)
MAX_FRAMES = 20_000  # of a GIF
MAX_FILM = 1 << 30  # pixels of all of its frames
MAX_PIXELS = 64_000_000
MAX_BYTES = 1 << 29  # of a file: more than such an image takes without any compression
MAX_EXIF = 1 << 16

GREY_MODES = ("1", "L", "LA")
COLOUR_MODES = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr")
ORIENTATION = 0x0112  # the EXIF tag; values 5 to 8 turn the image by a quarter
QUARTER_TURNS = (5, 6, 7, 8)
UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
OPAQUE = 255
RESAMPLING = 3  # Pillow's number of bicubic resampling, antialiased where the image is made smaller


class UnreadableImage(Exception):
    """The file is no image that we read; the text is the reason."""


@dataclass(frozen=True)
class Header:
    """What an image will be once decoded: its upright size and whether it is grey."""

    height: int
    width: int
    grey: bool

    def describe(self) -> str:
        return f"{self.width}×{self.height} {'grey' if self.grey else 'colour'}"


@dataclass(frozen=True)
class Extras:
    """What a file holds beside the pixels of an item: Pillow's name for its mode, its frames, transparency."""

    mode: str
    frames: int
    transparent: bool


@dataclass(frozen=True)
class Decoded:
    """The pixels (C, H, W) uint8 of an image, and in which ways they are not those of the file."""

    pixels: np.ndarray
    altered: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """What every image of a set is made into. `resize`: shorter side to the target (antialiased), then centre crop."""

    height: int
    width: int
    grey: bool
    resize: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        return (1 if self.grey else 3, self.height, self.width)


def read_header(path: Path) -> Header | Unreadable:
    """Size and mode, without decoding the pixels."""
    try:
        with opened(path) as image:
            width, height = image.size
            if _orientation(image, path) in QUARTER_TURNS:
                width, height = height, width
            return Header(height, width, image.mode in GREY_MODES)
    except UnreadableImage as error:
        return Unreadable(str(path), str(error))


def read_extras(path: Path) -> Extras:
    """Raises DataError for a file that cannot be read."""
    try:
        with opened(path) as image:
            frames = getattr(image, "n_frames", 1)
            alpha = np.asarray(image.convert("RGBA"))[..., 3] if image.has_transparency_data else np.array([OPAQUE])
            return Extras(image.mode, frames, bool(alpha.min() < OPAQUE))
    except UnreadableImage as error:
        raise DataError(f"{path} cannot be read: {cause(error)}") from error


def read_pixels(
    path: Path,
    spec: DataSpec,
    resize: bool = False,
    mend: str = "",
    whose: str = "the model is for",
    fit: bool = False,
) -> np.ndarray:
    """The pixels (C, H, W), uint8, of one image of the kind that `spec` describes.

    fit: bring it to the size of the spec: shorter side to fit (antialiased), centre crop; and a grey one to colours,
    as a folder of both is read. resize: and to its colours, whatever they are.

    Raises UsageError for data that are no pictures, for a file that is not there and, unless it may be resized, for one
    of another size or mode (`whose` begins the message, and `mend` says what to do about it); DataError for a file that
    cannot be read.
    """
    if not spec.is_image or spec.shape[0] not in (1, 3):
        raise UsageError(f"the model is for {spec.describe()}, which are no pictures")
    if not path.is_file():
        raise UsageError(f"there is no picture {path}")
    channels, height, width = spec.shape
    header, target = read_header(path), Target(height, width, grey=channels == 1, resize=resize or fit)
    if isinstance(header, Unreadable):
        raise DataError(f"{path} cannot be read: {header.reason}")
    sized, coloured = (header.height, header.width) == (height, width), header.grey == target.grey
    if not resize and not ((sized or fit) and (coloured or (fit and header.grey))):
        wanted = f"{width}×{height} {'grey' if target.grey else 'colour'}"
        hint = f"; {mend}" * bool(mend)
        raise UsageError(f"{whose} {wanted} pictures, and {path} is {header.describe()}{hint}")
    decoded = decode(path, target)
    if isinstance(decoded, Unreadable):
        raise DataError(f"{path} cannot be read: {decoded.reason}")
    return decoded.pixels


def grey_pixels(path: Path) -> np.ndarray:
    """The brightness (H, W) uint8 of an image of any size; raises DataError for a file that cannot be read."""
    header = read_header(path)
    if isinstance(header, Unreadable):
        raise DataError(f"{path} cannot be read: {header.reason}")
    return read_pixels(path, DataSpec(Levels((1, header.height, header.width), 256)), resize=True)[0]


def decode(path: Path, target: Target) -> Decoded | Unreadable:
    """The pixels (C, H, W) of `target.shape`, or why there are none."""
    from PIL import ImageOps

    try:
        with opened(path) as image:
            altered = _alterations(image)
            opaque, seen_through = _on_white(upright(image, path))
            opaque = opaque.convert("L" if target.grey else "RGB")
            if target.resize:
                opaque = ImageOps.fit(opaque, (target.width, target.height), RESAMPLING)
            if opaque.size != (target.width, target.height):
                raise UnreadableImage("its size changed while the folder was read")
            pixels = np.asarray(opaque)
    except UnreadableImage as error:
        return Unreadable(str(path), str(error))
    altered += ("transparent pixels are laid over white",) * seen_through
    return Decoded(pixels[None] if target.grey else pixels.transpose(2, 0, 1), altered)


def decode_bytes(content: bytes, height: int, width: int) -> np.ndarray:
    """The pixels (3, height, width) uint8 of an image file in memory; raises UnreadableImage, also for another size."""
    from PIL import Image

    with _understood(), Image.open(io.BytesIO(content), formats=FORMATS) as image:
        _check(image, len(content))
        if image.size != (width, height):
            raise UnreadableImage(f"{image.width}×{image.height} pixels, not {width}×{height}")
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def gif_header(path: Path) -> tuple[Header, int] | Unreadable:
    """Size, colours and number of frames of a GIF."""
    try:
        with opened(path, FILMS) as image:
            frames = getattr(image, "n_frames", 1)
            if frames > MAX_FRAMES:
                raise UnreadableImage(f"{frames:,} frames are more than the {MAX_FRAMES:,} that are read")
            if frames * image.width * image.height > MAX_FILM:
                raise UnreadableImage(f"{frames:,} frames of {image.width}×{image.height} are more than a film has")
            grey = True  # until a frame has a colour: the palette of each may be another one
            for number in range(frames):
                image.seek(number)
                grey = grey and _is_grey(image)
                if not grey:
                    break
            return Header(image.height, image.width, grey), frames
    except UnreadableImage as error:
        return Unreadable(str(path), str(error))


def _is_grey(image: Image) -> bool:
    if image.mode in GREY_MODES:
        return True
    red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")), 2, 0)
    return bool((red == green).all() and (green == blue).all())


def gif_frames(path: Path, target: Target, count: int) -> np.ndarray | Unreadable:
    """The first `count` frames of a GIF, (count, C, H, W) uint8, or why there are none."""
    from PIL import ImageOps

    frames = np.empty((count, *target.shape), np.uint8)
    try:
        with opened(path, FILMS) as image:
            for number in range(count):
                image.seek(number)
                frame = _on_white(image)[0].convert("L" if target.grey else "RGB")
                if target.resize:
                    frame = ImageOps.fit(frame, (target.width, target.height), RESAMPLING)
                if frame.size != (target.width, target.height):
                    raise UnreadableImage("its size changed while the folder was read")
                pixels = np.asarray(frame)
                frames[number] = pixels[None] if target.grey else pixels.transpose(2, 0, 1)
    except UnreadableImage as error:
        return Unreadable(str(path), str(error))
    return frames


def fit(pixels: np.ndarray, height: int, width: int, nearest: bool = False) -> np.ndarray:
    """Pixels (C, H, W) uint8, grey or in colour -> (C, height, width): shorter side to fit, centre crop.

    nearest: each pixel is that of the original which is nearest to it, as a map of classes needs, and no mean.
    """
    from PIL import Image, ImageOps

    image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    found = np.asarray(ImageOps.fit(image, (width, height), Image.Resampling.NEAREST if nearest else RESAMPLING))
    return found[None] if len(pixels) == 1 else found.transpose(2, 0, 1)


def resized(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Real numbers (H, W) float32 at another size, bicubic; they may overshoot."""
    from PIL import Image

    return np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC))


def _alterations(image: Image) -> tuple[str, ...]:
    """What of an image is lost, besides transparency."""
    several = getattr(image, "n_frames", 1) > 1
    return ("of several frames the first is read",) * several + ("CMYK is brought to RGB",) * (image.mode == "CMYK")


@contextmanager
def opened(path: Path, formats: tuple[str, ...] = FORMATS) -> Iterator[Image]:
    """The image with its header read; whatever goes wrong inside becomes an UnreadableImage with the reason."""
    from PIL import Image

    with _understood(path, formats), open_regular(path) as file, Image.open(file, formats=formats) as image:
        _check(image, size_of(file))
        yield image


@contextmanager
def _understood(path: Path | None = None, formats: tuple[str, ...] = FORMATS) -> Iterator[None]:
    """Turns whatever Pillow raises over a file, or over bytes, into an UnreadableImage with the reason."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Our cap, not Pillow's warning, decides on size; its other warnings (bad EXIF) are not worth a line.
            warnings.simplefilter("ignore")
            yield
    except UnreadableImage:
        raise
    except Image.UnidentifiedImageError as error:
        empty = path is not None and path.stat().st_size == 0
        raise UnreadableImage("an empty file" if empty else f"not a {', '.join(formats)} file") from error
    except MemoryError:
        raise
    except OSError as error:
        nowhere = error.errno == errno.ENOENT and path is not None and path.is_symlink()
        raise UnreadableImage("a link to nothing" if nowhere else error.strerror or str(error)) from error
    except Exception as error:  # a damaged file makes Pillow raise a dozen kinds, from SyntaxError to struct.error
        raise UnreadableImage(str(error) or type(error).__name__) from error


def _check(image: Image, size: int) -> None:
    width, height = image.size
    if size > MAX_BYTES:
        raise UnreadableImage(f"{size:,} bytes are more than an image has")
    if width * height > MAX_PIXELS:
        raise UnreadableImage(f"{width}×{height} is more than {MAX_PIXELS // 10**6} megapixels")
    if image.mode not in GREY_MODES + COLOUR_MODES:
        raise UnreadableImage(f"mode {image.mode}, not 8 bits a channel; convert it first")
    if any(";16B" in str(tile) for tile in getattr(image, "tile", ())):  # Pillow calls it RGB, and drops 8 of the bits
        raise UnreadableImage("16 bits a channel, and 8 are read; convert it first")


def upright(image: Image, path: Path) -> Image:
    """An open image with its pixels read, turned as its EXIF tag says."""
    from PIL import Image as Pillow

    turn = UPRIGHT.get(_orientation(image, path))
    image.load()
    return image.transpose(Pillow.Transpose[turn]) if turn else image


def _orientation(image: Image, path: Path) -> int:
    """The EXIF tag; 1 where there is none.

    `getexif` on a PNG without this key would decode the whole image to look for it behind the pixels.
    """
    from PIL import Image as Pillow

    if "exif" in image.info or image.format != "PNG":
        return image.getexif().get(ORIENTATION, 1)
    exif = Pillow.Exif()
    exif.load(_exif_of_png(path))
    return exif.get(ORIENTATION, 1)


def _exif_of_png(path: Path) -> bytes:
    """The EXIF data of a PNG, wherever they lie in it: the chunks are passed over, and not read."""
    with open_regular(path) as file:
        file.seek(8)
        while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
            length = int.from_bytes(head[:4], "big")
            if head[4:] == b"eXIf":
                return file.read(min(length, MAX_EXIF))
            file.seek(length + 4, 1)
    return b""


def _on_white(image: Image) -> tuple[Image, bool]:
    """Transparent pixels laid over white, and whether there are any; an opaque image as it is."""
    from PIL import Image

    if not image.has_transparency_data:
        return image, False
    layer = image.convert("RGBA")
    opaque = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return opaque, bool(np.asarray(layer)[..., 3].min() < OPAQUE)
