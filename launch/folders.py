"""The folders of this installation, from the settings and the files of extra model paths they name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from launch.settings import Paths
from storage.folders import ExtraPaths, Folders

TOKENIZERS = "tokenizers"
"""Beneath the folder of models: where `fetch` puts the tokenisers of text encoders."""


class BadModelPaths(ValueError):
    """A file of extra model paths cannot be used. The text names the file, the place and what was expected."""


def folders_of(paths: Paths) -> Folders:
    """Every folder of the installation. Raises BadModelPaths."""
    usual = paths.base / "extra_model_paths.yaml"
    files = (*((usual,) if usual.is_file() else ()), *paths.extra_model_paths)
    return Folders(
        paths.base,
        output=paths.output,
        input=paths.input,
        temp=paths.temp,
        user=paths.user,
        models=paths.models,
        extra=[read_extra_paths(file) for file in files],
    )


def read_extra_paths(file: Path) -> ExtraPaths:
    """Parse one YAML file: sections of `base_path`, `is_default` and model kinds with one or more folders each."""
    try:
        data: object = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadModelPaths(f"{file} is not a readable YAML file: {error}") from error
    if data is None:
        data = {}
    if not isinstance(data, Mapping):
        raise BadModelPaths(f"{file}: expected named sections at the top, got {type(data).__name__}")
    sections = cast(Mapping[Any, Any], data)
    for name, section in sections.items():
        if section is not None and not isinstance(section, Mapping):
            raise BadModelPaths(
                f"{file}: section {name!r} must hold `kind: folder` lines, got {type(section).__name__}"
            )
    return ExtraPaths({str(name): section for name, section in sections.items() if section is not None}, file.parent)
