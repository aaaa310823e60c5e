"""`check-pack`: each way to break a promise is found and named, and a pack that keeps them all is left in peace."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from compat.checking import check
from compat.checking.check import check_pack
from compat.checking.findings import Finding, Report
from compat.checking.report import lines_of
from launch.main import main
from tests.end_to_end.conftest import ROOT

CLASS = '''
import torch

class Node:
    """A stand-in."""
    CATEGORY = "test"
    DESCRIPTION = "what it does"
    RETURN_TYPES = {types!r}
    FUNCTION = "go"
    {more}

    @classmethod
    def INPUT_TYPES(cls):
        return {{"required": {{"image": ("IMAGE",), "amount": ("FLOAT", {options})}}}}

    def go(self, image, amount):
        {body}

NODE_CLASS_MAPPINGS = {{"Node": Node}}
'''


@pytest.fixture(autouse=True)
def leave_no_trace() -> Iterator[None]:
    """The command sets up the log of the whole process, and one of the packs here changes torch's."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    torch.set_default_dtype(torch.float32)


def checked(tmp_path: Path, text: str) -> Report:
    (tmp_path / "pack").mkdir()
    return check_pack(_written(tmp_path / "pack", text), tmp_path / "base", {})


def written(
    body: str = "return (image,)",
    *,
    types: tuple[str, ...] = ("IMAGE",),
    options: str = '{"default": 0.5, "min": 0, "max": 1}',
    more: str = "",
) -> str:
    return CLASS.format(types=types, options=options, more=more, body=body)


def findings(report: Report) -> list[Finding]:
    return [*report.findings, *(finding for node in report.nodes for finding in node.findings)]


def test_a_node_that_keeps_its_promises_is_fine(tmp_path: Path):
    report = checked(tmp_path, written("return (image * amount,)"))
    assert findings(report) == []
    assert report.faults == 0
    assert report.nodes[0].seconds is not None


FAULTS: dict[str, tuple[str, str, str]] = {
    "does not load": ("import nothing_of_this_name", "loading", "nothing_of_this_name"),
    "has nothing in it": ("", "loading", "gives no nodes"),
    "has a class that is no node": ("class A: pass\nNODE_CLASS_MAPPINGS = {'A': A}", "schema", "has no FUNCTION"),
    "raises": (written("raise ValueError('of no use')"), "running", "ValueError: of no use"),
    "returns nothing": (written("pass"), "running", "returned nothing"),
    "changes its input": (written("image.mul_(0.5); return (image.clone(),)"), "purity", "changed its input 'image'"),
    "draws shared random numbers": (written("return (torch.rand(1, 4, 4, 3),)"), "purity", "of the same inputs"),
    "remembers": (
        written("self.n = getattr(self, 'n', 0) + 1; return (image * 0 + 1 / self.n,)"),
        "purity",
        "of the same inputs",
    ),
    "changes what is everybody's": (
        written("torch.set_default_dtype(torch.float64); return (image,)"),
        "purity",
        "default dtype for everybody",
    ),
    "keeps gradients": (
        written(
            "with torch.inference_mode(False):\n            return (torch.ones(1, 4, 4, 3, requires_grad=True) * 1.0,)"
        ),
        "purity",
        "carries gradients",
    ),
    "makes NaN": (written("return (image / 0 * 0,)"), "numbers", "output 'IMAGE' holds NaN or infinities (100% of it)"),
    "makes halves": (written("return (image.half(),)"), "dtype", "is float16; between nodes it is float32"),
    "leaves the CPU": (written("return (image.to('meta'),)"), "device", "is on meta"),
    "makes another shape": (written("return (image[0],)"), "schema", "should be (B, H, W, C) and has the shape"),
    "makes two channels": (written("return (image[..., :2],)"), "schema", "has 2 channels"),
    "makes too little": (written("return (image,)", types=("IMAGE", "MASK")), "schema", "2 outputs and made 1 values"),
    "makes another type": (written("return ('x',)", types=("INT",)), "schema", "declared INT and is a str"),
    "has a default it refuses": (written(options='{"default": 5, "max": 1}'), "schema", "would be refused"),
    "has limits the wrong way round": (
        written(options='{"min": 2, "max": 1}'),
        "schema",
        "min of 2 above its max of 1",
    ),
    "has options that are no JSON": (written(options='{"x": {1, 2}}'), "schema", "are no JSON"),
    "never runs": (written("return ()", types=()), "schema", "is no output node, so it never runs"),
}


@pytest.mark.parametrize("way", FAULTS)
def test_a_fault_is_found_and_named(way: str, tmp_path: Path):
    text, aspect, says = FAULTS[way]
    report = checked(tmp_path, text)
    faults = [finding for finding in findings(report) if finding.is_fault]
    assert {finding.aspect for finding in faults} == {aspect}, faults
    assert any(says in finding.sentence for finding in faults), faults
    assert report.faults == len(faults)


def test_what_may_be_meant_so_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(check, "SLOW_RUN", 0.0)
    report = checked(tmp_path, written("return (image * 3,)").replace('DESCRIPTION = "what it does"', ""))
    assert report.faults == 0
    assert sorted((f.aspect, f.sentence.split(";")[0]) for f in findings(report)) == [
        ("numbers", "output 'IMAGE' goes from 0.00 to 3.00"),
        ("schema", "it has no description"),
        ("timing", f"it takes {report.nodes[0].seconds:.1f} s for a tiny input"),
    ]


def test_a_node_for_which_there_is_nothing_to_try_is_left_out(tmp_path: Path):
    report = checked(tmp_path, written().replace('("IMAGE",), "amount"', '("GLIGEN",), "amount"'))
    assert (report.nodes[0].not_run, report.faults) == ("nothing here makes a GLIGEN to try it with", 0)


MODEL_NODE = """
class Patch:
    CATEGORY, DESCRIPTION, FUNCTION, RETURN_TYPES = "test", "d", "go", ("MODEL", "CONDITIONING", "LATENT", "IMAGE")

    @classmethod
    def INPUT_TYPES(cls):
        return {{"required": {{"model": ("MODEL",), "clip": ("CLIP",), "vae": ("VAE",), "sampler": ("SAMPLER",)}}}}

    def go(self, model, clip, vae, sampler):
        m = {clone}
        m.set_model_sampler_cfg_function(lambda args: args["cond"])
        latent = vae.encode(__import__("torch").full((1, 16, 16, 3), 0.5))
        conditioning = clip.encode_from_tokens_scheduled(clip.tokenize("a text"))
        return m, conditioning, {{"samples": latent}}, vae.decode(latent).clamp(0, 1)

NODE_CLASS_MAPPINGS = {{"Patch": Patch}}
"""


def test_nodes_that_want_models_get_small_ones(tmp_path: Path):
    report = checked(tmp_path, MODEL_NODE.format(clone="model.clone()"))
    assert (findings(report), report.nodes[0].not_run) == ([], None)


def test_a_model_that_is_patched_without_being_cloned_is_a_fault(tmp_path: Path):
    report = checked(tmp_path, MODEL_NODE.format(clone="model"))
    assert [(f.aspect, f.sentence.split(",")[0]) for f in findings(report)] == [
        ("purity", "it changed its input 'model'")
    ]


def test_a_node_whose_inputs_grow_is_left_out(tmp_path: Path):
    (tmp_path / "grows").mkdir()
    pack = Path(__file__).with_name("schema_pack.py").read_text()
    report = check_pack(_written(tmp_path / "grows", pack), tmp_path / "base", {})
    not_run = {node.id: node.not_run for node in report.nodes if node.not_run}
    assert not_run["Gather"] == "nothing here makes a COMFY_AUTOGROW_V3 to try it with"


def _written(folder: Path, text: str) -> Path:
    (folder / "__init__.py").write_text(text)
    return folder


def test_nodes_of_every_style_are_tried(tmp_path: Path):
    text = """
from comfy_api.latest import io, ComfyExtension

class Later(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema("Later", category="test", description="d", inputs=[
            io.Latent.Input("latent"), io.Combo.Input("how", options=["a", "b"]), io.Mask.Input("mask", optional=True),
            io.Combo.Input("file", options=[], upload=io.UploadType.image),
        ], outputs=[io.Latent.Output(), io.String.Output(is_output_list=True)])

    @classmethod
    async def execute(cls, latent, how, file, mask=None):
        return io.NodeOutput({**latent}, ["x", "y"])

class Pack(ComfyExtension):
    async def get_node_list(self):
        return [Later]

def comfy_entrypoint():
    return Pack()
"""
    report = checked(tmp_path, text)
    assert (findings(report), report.nodes[0].not_run) == ([], None)


def test_a_report_reads_like_sentences_and_ends_with_a_count(tmp_path: Path):
    lines = list(lines_of(checked(tmp_path, written("image.mul_(0.5); return (image,)"))))
    assert lines[0].startswith("pack pack: 1 node, imported in 0.")
    assert lines[1].startswith("  Node  1 fault, ")
    assert lines[2].strip().startswith("FAULT  purity: it changed its input 'image', which is in the cache")
    assert lines[-1] == "1 fault, no notes; 1 of 1 node tried"


@pytest.mark.parametrize("name", ["example_native.disabled", "example_classes.disabled"])
def test_our_example_packs_keep_their_promises(name: str, capsys: pytest.CaptureFixture[str]):
    assert main(["check-pack", str(ROOT / "custom_nodes" / name)]) == 0
    assert "no faults, no notes" in capsys.readouterr().out


def test_the_exit_code_tells_faults_from_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "bad.py").write_text(written("return (image / 0 * 0,)"))
    assert main(["check-pack", str(tmp_path / "bad.py")]) == 1
    assert "FAULT  numbers:" in capsys.readouterr().out
    assert main(["check-pack", str(tmp_path)]) == 2
    assert "a pack is a folder" in capsys.readouterr().err
