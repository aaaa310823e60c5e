"""`main.py fetch` puts a file where it is looked for, or says what to do by hand."""

from pathlib import Path

import pytest

from diffusion.text.tokenizers import SentencePiece, TokenizerFolders
from launch.commands.fetch import DONE, FAILED, fetch
from tests.diffusion.text.sentencepieces import model


def test_a_fetched_tokeniser_is_where_it_is_looked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source = tmp_path / "downloaded"
    source.write_bytes(model())
    asked: list[tuple[str, str]] = []

    def download(repository: str, file: str) -> str:
        asked.append((repository, file))
        return str(source)

    words = ["tokenizer", "t5", "--base-directory", str(tmp_path / "base")]
    assert fetch(words, tmp_path, download) == DONE
    assert asked == [("google/t5-v1_1-xxl", "spiece.model")]
    target = tmp_path / "base" / "models" / "tokenizers" / "t5" / "spiece.model"
    assert f"fetched {target}" in capsys.readouterr().out
    found = TokenizerFolders((tmp_path / "base" / "models" / "tokenizers",)).open("t5")
    assert found.ids("a cat") == SentencePiece(model()).ids("a cat")
    assert fetch(words, tmp_path, download) == DONE
    assert len(asked) == 1


def test_where_the_publisher_cannot_be_reached_the_file_and_its_place_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def download(repository: str, file: str) -> str:
        raise OSError("no route to host")

    assert fetch(["tokenizer", "t5", "--base-directory", str(tmp_path)], tmp_path, download) == FAILED
    said = capsys.readouterr().err
    assert "no route to host" in said
    assert "https://huggingface.co/google/t5-v1_1-xxl" in said
    assert str(tmp_path / "models" / "tokenizers" / "t5" / "spiece.model") in said


def test_an_unknown_tokeniser_is_wrong_usage(tmp_path: Path):
    with pytest.raises(SystemExit) as ended:
        fetch(["tokenizer", "t6"], tmp_path)
    assert ended.value.code == 2
