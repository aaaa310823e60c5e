"""What the documents say works as they say it."""

import re
from pathlib import Path

import pytest

from compat.checking.check import check_pack
from launch.arguments import parse_serve
from launch.folders import folders_of

ROOT = Path(__file__).parents[2]


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_every_pack_in_the_guide_keeps_its_promises(tmp_path: Path):
    packs = blocks("docs/writing-nodes.md", "python")
    assert len(packs) == 3
    for number, text in enumerate(packs):
        path = tmp_path / f"example{number}.py"
        path.write_text(text)
        report = check_pack(path, tmp_path / f"base{number}", {})
        sentences = [finding.sentence for node in report.nodes for finding in node.findings]
        assert (report.findings, sentences) == ([], [])
        assert all(node.not_run is None for node in report.nodes)


def test_the_file_of_model_paths_in_the_document_is_read(tmp_path: Path):
    [paths] = blocks("models/README.md", "yaml")
    shared = tmp_path / "shared"
    for folder, file in (
        ("Stable-diffusion", "a.safetensors"),
        ("Lora", "b.safetensors"),
        ("LyCORIS", "c.safetensors"),
    ):
        (shared / folder).mkdir(parents=True)
        (shared / folder / file).touch()
    (tmp_path / "extra_model_paths.yaml").write_text(paths.replace("/data/models", str(shared)))
    folders = folders_of(parse_serve([], tmp_path).paths)
    assert folders.files("checkpoints") == ["a.safetensors"]
    assert folders.files("loras") == ["b.safetensors", "c.safetensors"]


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_every_file_a_document_points_to_is_there(document: str):
    text = (ROOT / document).read_text(encoding="utf-8")
    named = set(re.findall(r"\]\(([\w./-]+)\)", text))
    named |= {path for path in re.findall(r"`([\w./-]+\.(?:py|md|txt|toml))`", text) if "/" in path}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_option_the_documents_name_exists(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        parse_serve(["--help"], ROOT)
    known = capsys.readouterr().out + "--set --out --json --help"
    for document in ("README.md", "custom_nodes/README.md", "models/README.md"):
        named = re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", (ROOT / document).read_text(encoding="utf-8"))
        assert [option for option in named if option not in known] == [], document
