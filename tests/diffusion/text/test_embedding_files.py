"""Textual inversion files in every layout, found by name and never outside their folders."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion.text.embeddings import EmbeddingFolders
from diffusion.text.problems import PromptProblem

TWO = torch.arange(16.0).reshape(2, 8)
WIDE = torch.ones(1, 12)


def found(folder: Path, name: str, encoder: str = "clip_l", width: int = 8) -> Tensor:
    vectors = EmbeddingFolders((folder,)).find(name, encoder, width)
    assert isinstance(vectors, Tensor), vectors
    return vectors


def problem(folder: Path, name: str, encoder: str = "clip_l", width: int = 8) -> PromptProblem:
    result = EmbeddingFolders((folder,)).find(name, encoder, width)
    assert isinstance(result, PromptProblem)
    return result


@pytest.mark.parametrize(
    "content",
    [
        {"string_to_token": {"*": 265}, "string_to_param": {"*": TWO}, "name": "x", "step": 3, "sd_checkpoint": None},
        {"<token>": TWO},
        {"emb_params": TWO.half()},
        {"clip_g": WIDE, "clip_l": TWO},
        {"bundle_emb.style.string_to_param.*": TWO},
        [WIDE, TWO],
        [{"a": TWO}],
        TWO,
        torch.nn.Parameter(TWO),
    ],
)
def test_pickled_layouts(tmp_path: Path, content: Any):
    torch.save(content, tmp_path / "e.pt")
    assert torch.equal(found(tmp_path, "e"), TWO)


def test_a_parameter_dict_of_the_earliest_files_is_read(tmp_path: Path):
    torch.save({"string_to_param": torch.nn.ParameterDict({"*": torch.nn.Parameter(TWO)})}, tmp_path / "e.pt")
    assert torch.equal(found(tmp_path, "e"), TWO)


@pytest.mark.parametrize("content", [{"emb_params": TWO}, {"clip_g": WIDE, "clip_l": TWO}, {"<x>": TWO}])
def test_safetensors_layouts(tmp_path: Path, content: dict[str, Tensor]):
    save_file(content, tmp_path / "e.safetensors")
    assert torch.equal(found(tmp_path, "e"), TWO)


def test_each_encoder_takes_its_own_vectors(tmp_path: Path):
    save_file({"clip_g": WIDE, "clip_l": TWO}, tmp_path / "e.safetensors")
    assert torch.equal(found(tmp_path, "e", "clip_g", 12), WIDE)


def test_a_single_vector_without_its_axis_is_one_vector(tmp_path: Path):
    save_file({"<x>": TWO[0].clone()}, tmp_path / "e.safetensors")
    assert found(tmp_path, "e").shape == (1, 8)


@pytest.mark.parametrize("name", ["style/ink", "style/ink.safetensors", "ink", "ink.safetensors"])
def test_names_may_leave_out_the_extension_and_the_sub_folder(tmp_path: Path, name: str):
    (tmp_path / "style").mkdir()
    save_file({"<x>": TWO}, tmp_path / "style" / "ink.safetensors")
    assert torch.equal(found(tmp_path, name), TWO)


def test_a_dot_in_a_name_is_not_an_extension(tmp_path: Path):
    save_file({"<x>": TWO}, tmp_path / "ink_v1.5.safetensors")
    assert torch.equal(found(tmp_path, "ink_v1.5"), TWO)


@pytest.mark.parametrize("name", ["../secret", "style/../../secret", "/etc/passwd", "..\\secret", "a\0b", "*", "", "/"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str):
    save_file({"<x>": TWO}, tmp_path / "secret.safetensors")
    (tmp_path / "inside").mkdir()
    assert EmbeddingFolders((tmp_path / "inside",)).path(name) is None


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        ({"<x>": WIDE}, "embedding_width", "its vectors are 12 wide, the text encoder's 8"),
        ({"<x>": TWO * float("nan")}, "embedding_unreadable", "NaN"),
        ({"<x>": torch.ones(1, 1, 8)}, "embedding_unreadable", "not a textual inversion"),
    ],
)
def test_an_unfit_embedding_is_left_out_with_a_reason(
    tmp_path: Path, content: dict[str, Tensor], kind: str, words: str
):
    save_file(content, tmp_path / "e.safetensors")
    result = problem(tmp_path, "e")
    assert result.kind == kind
    assert words in result.message


def test_a_damaged_file_is_left_out_with_a_reason(tmp_path: Path):
    (tmp_path / "e.safetensors").write_bytes(b"<html>")
    assert "web page" in problem(tmp_path, "e").message
    assert problem(tmp_path, "lost").kind == "embedding_missing"
