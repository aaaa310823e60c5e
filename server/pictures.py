"""Re-encoding of pictures for clients: smaller, without alpha, alpha alone, a mask laid over.

Sizes are looked at before anything is decoded, and pictures are worked on one after the other. Large ones are decoded
in a process of their own that ends with them: this process stays small, and a picture made to break a decoder breaks
that one. This module is that process's program too (`python -m server.pictures`).
"""

import asyncio
import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from PIL import Image, PngImagePlugin, UnidentifiedImageError

MOST_PIXELS = 80_000_000
LARGE = 4_000_000  # pixels; 16 million take 200 MB while they are encoded
AT_ONCE = 1
SECONDS = 60.0  # for one picture
_MOST_MEMORY = 3 * 2**30  # bytes of address space for one
_HOME = Path(__file__).parents[1]
_NOT_A_PICTURE = 3  # exit code: the reason is on stdout

T = TypeVar("T")


class NotAPicture(ValueError):
    """The file cannot be shown as a picture. The message says why."""


class Pictures:
    """Does what the functions below do, large pictures in another process. All raise NotAPicture."""

    def __init__(self, large: int = LARGE):
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._large = large

    async def preview(
        self, source: Path | BinaryIO, format: str, quality: int, alpha: bool = True
    ) -> tuple[bytes, str]:
        """The picture as "webp" or "jpeg", and its media type."""
        return await self._make("preview", [source], format, quality, alpha), f"image/{format}"

    async def without_alpha(self, source: Path) -> bytes:
        return await self._make("without_alpha", [source])

    async def alpha_only(self, source: Path) -> bytes:
        return await self._make("alpha_only", [source])

    async def masked(self, original: Path, mask: Path) -> bytes:
        return await self._make("masked", [original, mask])

    async def _make(self, operation: str, sources: Sequence[Path | BinaryIO], *options: Any) -> bytes:
        async with self._turn:
            pixels = await asyncio.to_thread(lambda: sum(_guarded(_pixels, source) for source in sources))
            if pixels <= self._large:
                return await asyncio.to_thread(_guarded, OPERATIONS[operation], *sources, *options)
            paths = [str(source) for source in sources if isinstance(source, Path)]
            if len(paths) < len(sources):
                raise NotAPicture(f"{pixels} pixels are too many for a picture inside another file")
            return await _elsewhere(json.dumps([operation, paths, options]))


async def _elsewhere(task: str) -> bytes:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server.pictures", task),
        cwd=_HOME,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(SECONDS):
            made, _ = await child.communicate()
    except TimeoutError:
        raise NotAPicture(f"this picture took longer than {SECONDS:g} seconds") from None
    finally:
        if child.returncode is None:  # too slow, or nobody waits for it any more
            child.kill()
            await child.wait()
    if child.returncode == _NOT_A_PICTURE:
        raise NotAPicture(made.decode("utf-8", "replace"))
    if child.returncode != 0:
        raise NotAPicture("this picture needs too much memory, or is damaged beyond reading")
    return made


def preview(source: Path | BinaryIO, format: str, quality: int, alpha: bool = True) -> bytes:
    """The picture as "webp" or "jpeg". alpha: keep it where the format can."""
    image = _open(source)
    with_alpha = alpha and format == "webp" and _has_alpha(image)
    if image.mode not in ("RGB", "RGBA") or with_alpha != (image.mode == "RGBA"):
        image = image.convert("RGBA" if with_alpha else "RGB")
    target = io.BytesIO()
    options = {"method": 0} if format == "webp" else {}  # a preview is looked at once: be quick rather than small
    image.save(target, format=format, quality=quality, **options)
    return target.getvalue()


def without_alpha(source: Path) -> bytes:
    """The colours as PNG."""
    return _png(_open(source).convert("RGB"))


def alpha_only(source: Path) -> bytes:
    """A black RGBA PNG that has the picture's alpha; opaque where it has none."""
    image = _open(source)
    alpha = image.convert("RGBA").getchannel("A") if _has_alpha(image) else Image.new("L", image.size, 255)
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    black.putalpha(alpha)
    return _png(black)


def masked(original: Path, mask: Path) -> bytes:
    """The original with the alpha of the mask, as PNG; text chunks of the original are kept."""
    picture, overlay = _open(original), _open(mask)
    if picture.size != overlay.size:
        raise NotAPicture(f"the mask is {_size(overlay)} pixels, the original {_size(picture)}; they must agree")
    texts: dict[str, Any] = getattr(picture, "text", {})
    kept = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        kept.add_text(key, value)
    result = picture.convert("RGBA")
    result.putalpha(overlay.convert("RGBA").getchannel("A"))
    target = io.BytesIO()
    result.save(target, format="PNG", compress_level=4, pnginfo=kept)
    return target.getvalue()


OPERATIONS: dict[str, Callable[..., bytes]] = {
    "preview": preview,
    "without_alpha": without_alpha,
    "alpha_only": alpha_only,
    "masked": masked,
}


def _pixels(source: Path | BinaryIO) -> int:
    """As many as the header says. Raises NotAPicture when that is more than we would ever decode."""
    with contextlib.ExitStack() as scope:
        file = scope.enter_context(source.open("rb")) if isinstance(source, Path) else source
        width, height = Image.open(file).size
        file.seek(0)
    if width * height > MOST_PIXELS:
        raise NotAPicture(f"{width} x {height} pixels are too many to re-encode here; at most {MOST_PIXELS} are")
    return width * height


def _open(source: Path | BinaryIO) -> Image.Image:
    image = Image.open(source)
    try:
        image.load()
    except BaseException:
        image.close()
        raise
    return image


def _guarded(work: Callable[..., T], *arguments: Any) -> T:
    try:
        return work(*arguments)
    except NotAPicture:
        raise
    except UnidentifiedImageError:
        raise NotAPicture("this file is no picture in a format we know") from None
    # Damaged files raise all of these from Pillow's decoders.
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as e:
        raise NotAPicture(f"this picture cannot be read: {e}") from e


def _has_alpha(image: Image.Image) -> bool:
    return "A" in image.getbands() or "transparency" in image.info


def _png(image: Image.Image) -> bytes:
    target = io.BytesIO()
    image.save(target, format="PNG", compress_level=1)
    return target.getvalue()


def _size(image: Image.Image) -> str:
    return f"{image.width} x {image.height}"


def _serve(task: str) -> int:
    """The other process: do one operation, the result on stdout."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    operation, paths, options = json.loads(task)
    try:
        made = _guarded(OPERATIONS[operation], *map(Path, paths), *options)
    except NotAPicture as reason:
        sys.stdout.write(str(reason))
        return _NOT_A_PICTURE
    sys.stdout.buffer.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(_serve(sys.argv[1]))
