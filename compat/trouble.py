"""Why a pack gives no nodes, in one sentence, and the command line that may mend it. Nothing is installed by us."""

import re
import shlex
import sys
import traceback
from pathlib import Path

DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "git": "gitpython",
    "google": "google-genai",
    "pywt": "PyWavelets",
    "segment_anything": "segment-anything",
    "flash_attn": "flash-attn",
    "open_clip": "open-clip-torch",
    "hydra": "hydra-core",
    "color_matcher": "color-matcher",
    "transparent_background": "transparent-background",
    "serial": "pyserial",
    "dotenv": "python-dotenv",
    "bs4": "beautifulsoup4",
    "Crypto": "pycryptodome",
    "fal_client": "fal-client",
    "websocket": "websocket-client",
    "cupy": "cupy-cuda12x",
    "fitz": "pymupdf",
    "docx": "python-docx",
    "OpenSSL": "pyopenssl",
}
"""Import name → the name to install by, where they differ."""


def trouble_of(error: BaseException, pack: Path) -> str:
    """One sentence: what was raised, and where in the pack."""
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if Path(frame.filename).is_relative_to(pack)]
    where = (mine or frames)[-1] if frames else None
    place = f" ({where.filename}, line {where.lineno})" if where else ""
    return f"{type(error).__name__}: {error}{place}"


def remedy_of(error: BaseException, pack: Path) -> str | None:
    """The pip line for a requirement that is missing; None when something else is wrong."""
    missing = _missing_module(error)
    if missing is None:
        return None
    pip = f"{shlex.quote(sys.executable)} -m pip install"
    requirements = pack / "requirements.txt"
    if requirements.is_file() and _lists(requirements, missing):
        return f"{pip} -r {shlex.quote(str(requirements))}"
    top = missing.split(".")[0]
    return f"{pip} {DISTRIBUTIONS.get(top, top)}"


def _missing_module(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            return error.name
        error = error.__cause__ or error.__context__
    return None


def _lists(requirements: Path, module: str) -> bool:
    """Whether the file asks for the distribution of a module; a line that says nothing of the kind may still bring
    it, so a file that names anything at all counts when the module has no known name of its own."""
    top = module.split(".")[0]
    names = {_plain(name) for name in (top, DISTRIBUTIONS.get(top, top))}
    lines = [line.strip() for line in requirements.read_text(encoding="utf-8", errors="replace").splitlines()]
    asked = {_plain(re.split(r"[\s\[<>=!~;@]", line)[0]) for line in lines if line and not line.startswith(("#", "-"))}
    return any(name in entry or entry in name for name in names for entry in asked)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
