"""Extra model paths: what a file may say, and where it is wrong."""

from pathlib import Path

import pytest

from launch.arguments import parse_serve
from launch.folders import BadModelPaths, folders_of


def test_models_are_found_in_the_folders_a_file_names(tmp_path: Path):
    (tmp_path / "shared" / "lora").mkdir(parents=True)
    (tmp_path / "shared" / "lora" / "ink.safetensors").touch()
    file = tmp_path / "paths.yaml"
    file.write_text("others:\n  base_path: shared\n  loras: lora\n")
    settings = parse_serve(
        ["--extra-model-paths-config", str(file), "--base-directory", str(tmp_path / "home")], tmp_path
    )
    assert folders_of(settings.paths).files("loras") == ["ink.safetensors"]


def test_the_file_beside_the_models_needs_no_flag(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.safetensors").touch()
    (tmp_path / "extra_model_paths.yaml").write_text(f"mine:\n  checkpoints: {tmp_path / 'elsewhere'}\n")
    assert folders_of(parse_serve([], tmp_path).paths).files("checkpoints") == ["a.safetensors"]


@pytest.mark.parametrize(
    ("text", "says"),
    [("a: [", "not a readable YAML"), ("- x\n", "named sections"), ("a: 3\n", "section 'a'")],
)
def test_a_broken_file_is_named_with_the_place(text: str, says: str, tmp_path: Path):
    (tmp_path / "extra_model_paths.yaml").write_text(text)
    with pytest.raises(BadModelPaths, match=says):
        folders_of(parse_serve([], tmp_path).paths)
