"""Where things are: the folders of inputs, outputs, temporary and user files, and those of every kind of model.

A *kind* ("checkpoints", "loras", …) is a list of directories and the extensions that count in them. Model folders
belong to the owner of the machine, so links in them are followed wherever they lead; names are not: a name never
climbs out of the directory it is looked up in.
"""

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage.listing import Listing, folder_tree, input_files, input_folders, is_diffusers_model
from storage.names import BadName, FileKind, parts

WEIGHTS = frozenset({".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft"})
PACKED = WEIGHTS | {".gguf"}
ANY_EXTENSION: frozenset[str] = frozenset()
LEGACY = {"unet": "diffusion_models", "clip": "text_encoders"}

# kind → (directories beneath models/, extensions that count). The order is the one clients show.
KINDS: Mapping[str, tuple[tuple[str, ...], frozenset[str]]] = {
    "checkpoints": (("checkpoints",), WEIGHTS),
    "configs": (("configs",), frozenset({".yaml"})),
    "loras": (("loras",), WEIGHTS),
    "vae": (("vae",), WEIGHTS),
    "text_encoders": (("text_encoders", "clip"), PACKED),
    "diffusion_models": (("unet", "diffusion_models"), PACKED),
    "clip_vision": (("clip_vision",), WEIGHTS),
    "style_models": (("style_models",), WEIGHTS),
    "embeddings": (("embeddings",), WEIGHTS),
    "diffusers": (("diffusers",), ANY_EXTENSION),
    "vae_approx": (("vae_approx",), WEIGHTS),
    "controlnet": (("controlnet", "t2i_adapter"), WEIGHTS),
    "gligen": (("gligen",), WEIGHTS),
    "upscale_models": (("upscale_models",), WEIGHTS),
    "custom_nodes": ((), ANY_EXTENSION),
    "hypernetworks": (("hypernetworks",), WEIGHTS),
    "photomaker": (("photomaker",), WEIGHTS),
    "classifiers": (("classifiers",), frozenset({""})),
    "model_patches": (("model_patches",), WEIGHTS),
    "audio_encoders": (("audio_encoders",), WEIGHTS),
}
# What saving nodes write can be loaded again without moving it.
SAVED_MODELS = {
    "checkpoints": "checkpoints",
    "clip": "text_encoders",
    "vae": "vae",
    "diffusion_models": "diffusion_models",
    "loras": "loras",
}
APPROXIMATE_VAES = ("taesd", "taesdxl", "taesd3", "taef1")


@dataclass(frozen=True, slots=True)
class ExtraPaths:
    """One file of extra model paths, already parsed. data: section → {base_path, is_default, <kind>: paths}.
    directory: where the file lies; relative paths start there."""

    data: Mapping[str, Any]
    directory: Path


@dataclass(slots=True)
class _Kind:
    directories: list[Path]
    extensions: frozenset[str]
    listing: Listing | None = field(default=None)


class Folders:
    """All folders of one installation. Safe to ask from several threads."""

    def __init__(
        self,
        base_directory: Path,
        *,
        output: Path | None = None,
        input: Path | None = None,
        temp: Path | None = None,
        user: Path | None = None,
        models: Path | None = None,
        extra: Sequence[ExtraPaths] = (),
    ):
        self.base = Path(os.path.abspath(base_directory))
        self.output = Path(os.path.abspath(output or self.base / "output"))
        self.input = Path(os.path.abspath(input or self.base / "input"))
        self.temp = Path(os.path.abspath(temp or self.base / "temp"))
        self.user = Path(os.path.abspath(user or self.base / "user"))
        self.models = Path(os.path.abspath(models or self.base / "models"))
        self._lock = threading.Lock()
        self._kinds = {
            kind: _Kind([self.models / name for name in names], extensions)
            for kind, (names, extensions) in KINDS.items()
        }
        self._kinds["custom_nodes"].directories.append(self.base / "custom_nodes")
        for name, kind in SAVED_MODELS.items():
            self._kinds[kind].directories.append(self.output / name)
        for file in extra:
            self._add_extra(file)
        self._listings: dict[str, Callable[[], list[str]]] = {
            "input": lambda: input_files(self.input),
            "output": lambda: input_files(self.output),
            "temp": lambda: input_files(self.temp),
            "input files": lambda: input_files(self.input),
            "input files (image)": lambda: input_files(self.input, media=("image",)),
            "input files (audio)": lambda: input_files(self.input, media=("audio", "video")),
            "input files (video)": lambda: input_files(self.input, media=("video",)),
            "input files (.latent)": lambda: input_files(self.input, endings=(".latent",)),
            "input files (3d)": lambda: folder_tree(self.input, "3d", (".gltf", ".glb", ".obj", ".fbx", ".stl")),
            "input folders": lambda: input_folders(self.input),
            "vae (plus approximations)": lambda: self.files("vae") + self._approximate_vaes(),
            "diffusers": self._diffusers,
        }

    def root(self, kind: FileKind) -> Path:
        """The folder of user files of that kind."""
        return {"input": self.input, "output": self.output, "temp": self.temp}[kind]

    def make(self) -> None:
        """Create the folders that must exist: for user files, packs and each kind of model."""
        for path in (self.input, self.output, self.temp, self.user, self.base / "custom_nodes"):
            path.mkdir(parents=True, exist_ok=True)
        for names, _ in KINDS.values():
            for name in names[-1:]:
                (self.models / name).mkdir(parents=True, exist_ok=True)

    def kinds(self) -> list[str]:
        with self._lock:
            return list(self._kinds)

    def directories(self, kind: str) -> list[Path]:
        """Where models of this kind are looked for, first match wins. Raises KeyError for an unknown kind."""
        with self._lock:
            return list(self._kinds[LEGACY.get(kind, kind)].directories)

    def packs(self) -> list[Path]:
        """The folders of packs, by name; not those that were switched off by `.disabled` at the end of their name."""
        found = [path for folder in self.directories("custom_nodes") if folder.is_dir() for path in folder.iterdir()]
        kept = [path for path in found if not path.name.startswith((".", "__")) and path.suffix != ".disabled"]
        return sorted((path for path in kept if path.is_dir()), key=lambda path: path.name)

    def extensions(self, kind: str) -> frozenset[str]:
        """The endings that count for a kind; none means every file. Raises KeyError for an unknown kind."""
        with self._lock:
            return self._kinds[LEGACY.get(kind, kind)].extensions

    def add(self, kind: str, directory: Path, *, first: bool = False, extensions: Iterable[str] | None = None) -> None:
        """Look for this kind in one more directory; an unknown kind begins to exist. extensions: None keeps what the
        kind has (a new kind then takes every file)."""
        directory = Path(os.path.abspath(directory))
        with self._lock:
            known = self._kinds.setdefault(LEGACY.get(kind, kind), _Kind([], ANY_EXTENSION))
            if extensions is not None:
                known.extensions = frozenset(extensions)
            if directory in known.directories and first:
                known.directories.remove(directory)
            if directory not in known.directories:
                known.directories.insert(0 if first else len(known.directories), directory)
            known.listing = None

    def files(self, kind: str) -> list[str]:
        """Names of this kind relative to their directories, sorted, with "/" or the system's separator between parts.

        Directories are read again only when the time stamp of one of them changed, so asking often is cheap; the
        first question reads the disk. Raises KeyError for an unknown kind."""
        kind = LEGACY.get(kind, kind)
        if kind == "diffusers":
            return self._diffusers()
        with self._lock:
            known = self._kinds[kind]
            listing, directories, extensions = known.listing, tuple(known.directories), known.extensions
        if kind == "custom_nodes":
            return []  # packs are not models, and their files are nobody's business
        if listing is None or not listing.fresh():
            listing = Listing.read(directories, extensions)
            with self._lock:
                known.listing = listing
        return list(listing.names)

    def find(self, kind: str, name: str) -> Path | None:
        """The file of that name, or None: no such kind, no such file, or a name that would leave its directory."""
        try:
            below = parts(name)
            directories = self.directories(kind)
        except (BadName, KeyError):
            return None
        if not below:
            return None
        for directory in directories:
            path = directory.joinpath(*below)
            if path.exists():
                return path
        return None

    def listing(self, name: str) -> list[str]:
        """The choices a combo takes from the disk: a kind of model, or one of the named listings of user files
        ("input files", "input files (.latent)", …). Raises KeyError for an unknown name."""
        special = self._listings.get(name)
        return special() if special is not None else self.files(name)

    def _diffusers(self) -> list[str]:
        return sorted(
            path.name
            for directory in self.directories("diffusers")
            if directory.is_dir()
            for path in directory.iterdir()
            if is_diffusers_model(path)
        )

    def _approximate_vaes(self) -> list[str]:
        """The small decoders are pairs of files; one without its other half is of no use."""
        names = self.files("vae_approx")
        return [
            approximate
            for approximate in APPROXIMATE_VAES
            if all(any(name.startswith(f"{approximate}_{half}") for name in names) for half in ("encoder", "decoder"))
        ]

    def _add_extra(self, file: ExtraPaths) -> None:
        for section in file.data.values():
            if not isinstance(section, Mapping):
                continue
            entries: dict[Any, Any] = dict(section)  # pyright: ignore[reportUnknownArgumentType]  # parsed YAML
            base = entries.pop("base_path", None)
            first = bool(entries.pop("is_default", False))
            start = file.directory
            if base is not None:
                start = start / os.path.expandvars(os.path.expanduser(str(base)))
            for kind, value in entries.items():
                for line in str(value if value is not None else "").splitlines():
                    if line.strip():
                        self.add(str(kind), start / os.path.expanduser(line.strip()), first=first)
