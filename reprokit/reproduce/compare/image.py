"""Pictures: size, mode and pixels of all frames.  Text, times, EXIF (orientation too) and colour profiles don't count."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

from reprokit.reproduce.compare.numbers import library
from reprokit.reproduce.compare.words import SAME, UnreadableError, counted, kept
from reprokit.reproduce.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reprokit.settings.values import Tolerance

# None of those that hand a file to another program (EPS, WMF).
_FORMATS = ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM")
_BOMB = 89_478_485  # pixels, Pillow's own limit, when somebody has switched that off
_FRAMES = 10  # times that limit, for all frames together
_WIDENESS = "reprokit: 16 bits"
_ROWS = 1 << 20  # pixels that are looked at together
_WIDE = {
    "RGB": ("RGB;16B", "RGB;16L"),
    "RGBA": ("RGBA;16B", "RGBA;16L"),
}  # Pillow reads the upper bytes; the lower ones


class _UnlikeError(Exception):
    """Frames that need no look at their pixels to be different."""


class Pixels(NamedTuple):
    """How the pixels of two pictures differ."""

    total: int
    differing: int
    far: int  # by more levels than are tolerated
    largest: float
    frame: int  # the first one that differs
    place: tuple[int, int] | None  # its first differing pixel: x, y


def compare(name: str, old: Path, new: Path, tolerance: Tolerance) -> Verdict:
    """Compare two pictures."""
    library("numpy")
    with _opened(old) as first, _opened(new) as second:
        forms = [_form(one) for one in (first, second)]
        unlike = [f"{key} {a} -> {forms[1][key]}" for key, a in forms[0].items() if a != forms[1][key]]
        if unlike:
            details: dict[str, Any] = {key: [a, forms[1][key]] for key, a in forms[0].items()}
            return Verdict(name=name, kind="image", outcome="differs", said=", ".join(unlike), details=details)
        try:
            found = _frames(first, second, tolerance)
        except _UnlikeError as error:
            return Verdict(name=name, kind="image", outcome="differs", said=str(error))
        top = _top(first)
    details = {
        "total": found.total,
        "count": found.differing,
        "max_abs": kept(found.largest),
        "size": forms[0]["size"],
        "mode": forms[0]["mode"],
    }
    if not found.differing:
        return Verdict(name=name, kind="image", outcome="identical", said=SAME.format("pixels"), details=details)
    told = f"{found.differing:,} of {counted(found.total, 'pixel')} differ{'s' if found.differing == 1 else ''}"
    told += f", most by {found.largest:.4g}{f' of {top}' if top else ''}"
    if found.frame:
        told += f", first in frame {found.frame + 1}"
    details["place"] = list(found.place or ())
    within = (tolerance.pixels or tolerance.levels) and found.far <= tolerance.pixels * found.total
    return Verdict(
        name=name, kind="image", outcome="within tolerance" if within else "differs", said=told, details=details
    )


def _opened(path: Path) -> Any:
    """Open a picture; nothing is decoded yet.

    Raises
    ------
    UnreadableError
        When it has more pixels than is sane.
    """
    pillow = library("PIL.Image")
    if not all(one in pillow.OPEN for one in _FORMATS):
        pillow.init()
    opened = pillow.open(path, formats=[one for one in _FORMATS if one in pillow.OPEN])
    try:
        limit = _check(opened)
        frames = getattr(opened, "n_frames", 1)
        if opened.width * opened.height * frames > _FRAMES * limit:
            raise UnreadableError(f"{frames:,} frames are more than are read")
    except BaseException:
        opened.close()
        raise
    return opened


def _check(picture: Any) -> int:
    """Look at a frame before it is decoded; gives how many pixels it may have."""
    limit: int = library("PIL.Image").MAX_IMAGE_PIXELS or _BOMB
    if picture.width * picture.height > limit:
        raise UnreadableError(
            f"{picture.width:,} x {picture.height:,} pixels are more than the {limit:,} that are read"
        )
    picture.info[_WIDENESS] = _is_wide(picture)
    return limit


def _form(picture: Any) -> dict[str, Any]:
    return {
        "size": f"{picture.width} x {picture.height}",
        "mode": _mode(picture),
        "frames": getattr(picture, "n_frames", 1),
        "transparent colour": _clear(picture),
    }


def _clear(picture: Any) -> str:
    """Give the colour that is transparent, where it doesn't become a channel of its own."""
    wide = picture.info.get(_WIDENESS) or picture.mode.startswith(("I", "F"))
    return repr(picture.info["transparency"]) if wide and "transparency" in picture.info else "none"


def _mode(picture: Any) -> str:
    return f"{picture.mode};16" if picture.info.get(_WIDENESS) else str(picture.mode)


def _is_wide(picture: Any) -> bool:
    """Tell a picture in colours of 16 bits, of which Pillow reads 8; once it is loaded it no longer says so."""
    tiles = getattr(picture, "tile", None) or ()
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        return False
    return any(";16" in str(tile[3]) or (tile[0].startswith("ppm") and tile[3][-1] > 255) for tile in tiles)


def _top(picture: Any) -> int:
    """Give the largest level of a channel; 0 for floating-point ones."""
    if picture.info.get(_WIDENESS) or picture.mode.startswith("I;16"):
        return 65_535
    return 0 if picture.mode in ("F", "I") else 255


def _frames(first: Any, second: Any, tolerance: Tolerance) -> Pixels:
    total = differing = far = 0
    largest = 0.0
    frame, place = 0, None
    for number in range(getattr(first, "n_frames", 1)):
        if number:
            for one in (first, second):
                one.seek(number)
                _check(one)
        if first.info.get("duration") != second.info.get("duration"):
            times = [one.info.get("duration") for one in (first, second)]
            raise _UnlikeError(f"frame {number + 1} is shown for {times[0]} -> {times[1]} ms")
        for row, (a, b) in _bands(first, second):
            if a.shape != b.shape or a.dtype != b.dtype:
                raise _UnlikeError(f"frame {number + 1} has another form")
            found = _levels(a, b)
            total += found.size
            if not found.any():
                continue
            if not differing:
                y, x = divmod(int((found > 0).argmax()), first.width)
                frame, place = number, (x, row + y)
            differing += int((found > 0).sum())
            far += int((found > tolerance.levels).sum())
            largest = max(largest, float(found.max()))
    return Pixels(total, differing, far, largest, frame, place)


def _bands(first: Any, second: Any) -> Iterator[tuple[int, tuple[Any, Any]]]:
    """Give pixels of both a few rows at a time, and which row is the first of them."""
    pixels = [_pixels(one) for one in (first, second)]
    rows = max(1, _ROWS // max(1, first.width))
    for row in range(0, first.height, rows):
        yield row, (pixels[0](row, row + rows), pixels[1](row, row + rows))


def _pixels(picture: Any) -> Any:
    """Give what gives rows as an array: rows, columns, channels."""
    np = library("numpy")
    low = _lower(picture) if picture.info.get(_WIDENESS) else None
    picture.load()
    shown = picture
    several = getattr(picture, "n_frames", 1) > 1
    clear = (several or "transparency" in picture.info) and picture.mode in ("1", "L", "LA", "RGB") and low is None
    if picture.mode in ("P", "PA") or clear:
        shown = picture.convert("RGBA")
    elif picture.mode == "1":
        shown = picture.convert("L")

    def rows(start: int, stop: int) -> Any:
        box = (0, start, shown.width, min(stop, shown.height))
        found = np.asarray(shown.crop(box))
        if low is not None:
            found = found.astype(np.uint16) << 8 | np.asarray(low.crop(box))
        return found if found.ndim == 3 else found[:, :, None]

    return rows


def _lower(picture: Any) -> Any:
    """Read the lower bytes of a picture's channels: the same data, taken in the other order.

    Raises
    ------
    UnreadableError
        When this can't be done, so that two pictures can't be told apart.
    """
    pillow = library("PIL.Image")
    orders = _WIDE.get(picture.mode)
    if orders is None or picture.format != "PNG" or any(tile.args != orders[0] for tile in picture.tile):
        raise UnreadableError(f"{picture.format} with 16 bits a channel is read with 8 only")
    other = pillow.open(picture.filename, formats=_FORMATS)
    other.tile = [tile._replace(args=orders[1]) for tile in other.tile]
    other.load()
    return other


def _levels(a: Any, b: Any) -> Any:
    """Give for each pixel how far the channel that differs most is apart, as a flat array."""
    np = library("numpy")
    if a.dtype.kind in "ui":
        wide = np.int64 if a.dtype.itemsize > 2 else np.int32
        found = np.abs(a.astype(wide) - b.astype(wide)).max(axis=2)
    elif a.dtype.kind == "f":
        found = np.abs(a.astype(np.float64) - b.astype(np.float64))
        found[(a == b) | (np.isnan(a) & np.isnan(b))] = 0
        found[np.isnan(found)] = np.inf
        found = found.max(axis=2)
    else:
        found = (a != b).any(axis=2)
    return found.reshape(-1)


def difference_map(old: Path, new: Path, most: int = 1600) -> bytes | None:
    """Draw where two pictures differ: unchanged parts pale, differing pixels red, the more the darker.

    Returns
    -------
    bytes or None
        A PNG, at most `most` pixels wide and high; None when the pictures can't be laid over each other.
    """
    np, pillow = library("numpy"), library("PIL.Image")
    with _opened(old) as first, _opened(new) as second:
        if (first.size, _mode(first)) != (second.size, _mode(second)):
            return None
        step = max(1, -(-max(first.size) // most))
        shade = np.asarray(_grey(first).resize((-(-first.width // step), -(-first.height // step))), np.float32)
        levels = np.concatenate([_levels(a, b) for _, (a, b) in _bands(first, second)]).reshape(
            first.height, first.width
        )
    levels = levels.astype(np.float32)
    levels[~np.isfinite(levels)] = np.finfo(np.float32).max
    found = np.zeros(shade.shape, np.float32)
    for y in range(step):  # a pixel of the map shows the worst of those it stands for
        for x in range(step):
            part = levels[y::step, x::step]
            found[: part.shape[0], : part.shape[1]] = np.maximum(found[: part.shape[0], : part.shape[1]], part)
    drawn = np.repeat((225 + shade * (30 / 255))[:, :, None], 3, axis=2)
    differing = found > 0
    depth = (found[differing] / max(float(found.max()), 1e-30)) ** 0.5
    drawn[differing] = np.stack([235 - 60 * depth, 140 * (1 - depth), 120 * (1 - depth)], axis=1)
    out = io.BytesIO()
    pillow.fromarray(drawn.clip(0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def _grey(picture: Any) -> Any:
    """Give a picture in grey levels, whatever the range of its own."""
    np, pillow = library("numpy"), library("PIL.Image")
    if picture.mode not in ("F", "I") and not picture.mode.startswith("I;16"):
        return picture.convert("L")
    data = np.nan_to_num(np.asarray(picture).astype(np.float64), posinf=0.0, neginf=0.0)
    low, span = float(data.min()), float(data.max() - data.min()) or 1.0
    return pillow.fromarray(((data - low) * (255 / span)).astype(np.uint8))


def thumbnail(path: Path, most: int = 1600) -> bytes:
    """Give the first frame as a PNG, at most `most` pixels wide and high."""
    with _opened(path) as picture:
        shown = (
            _grey(picture) if picture.mode in ("F", "I") or picture.mode.startswith("I;16") else picture.convert("RGBA")
        )
        shown.thumbnail((most, most))
        out = io.BytesIO()
        shown.save(out, "PNG")
        return out.getvalue()
