"""All nodes at once: inputs are left as they were, and the same inputs give the same outputs.

Inputs are made from the declarations, so a new node is in these tests as soon as it is in the catalogue.
"""

import copy
import dataclasses
import functools
import math
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from diffusion.sampling.conditioning import conditions
from diffusion.sampling.guidance.core import Cfg
from diffusion.sampling.solvers import sampler
from execution.spec import InputSpec, NodeResult, NodeSpec
from nodes.catalogue import all_nodes
from nodes.guiders import Guiding
from nodes.previews import Previews
from nodes.sampling_samplers import SeededNoise
from storage.folders import KINDS, Folders
from storage.inputs import Inputs
from tests.nodes import tiny

# torch warns of its own code when something is first compiled.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")


def reads_models(spec: NodeSpec) -> bool:
    """Loaders are tested with files of their own."""
    return any(each.choices_from in KINDS or "vae" in (each.choices_from or "") for each in spec.declaration.inputs)


SPECS = [spec for spec in all_nodes() if not reads_models(spec)]
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>'


def draw(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(math.prod(shape)))


SOCKETS: dict[str, Any] = {
    "IMAGE": lambda: draw(2, 20, 24, 3),
    "MASK": lambda: draw(2, 20, 24),
    "LATENT": lambda: {
        "samples": draw(2, 4, 8, 6) - 0.5,
        "noise_mask": draw(2, 1, 8, 6).round(),
        "batch_index": [3, 5],
        "kept": "as it is",
    },
    "LATENT_OPERATION": lambda: OPERATION,
    "SVG": lambda: SimpleNamespace(data=[BytesIO(SVG)]),
    "SIGMAS": lambda: torch.tensor([8.0, 4.0, 1.0, 0.0]),
    "CONDITIONING": lambda: [[draw(1, 7, 32), {"pooled_output": draw(1, 32), "kept": "as it is"}]],
    "*": lambda: [1, {"a": 2}],
    "SAMPLER": lambda: sampler("euler"),
    "NOISE": lambda: SeededNoise(3),
    "GUIDER": lambda: Guiding(tiny.model(), Cfg(conditions([(draw(1, 7, 32), {})]))),
    "CONTROL_NET": functools.cache(tiny.control_net),
    "UPSCALE_MODEL": functools.cache(tiny.upscaler),
    "CLIP_VISION": functools.cache(tiny.clip_vision),
    "CLIP_VISION_OUTPUT": lambda: SimpleNamespace(data=[], image_embeds=draw(1, 24), last_hidden_state=draw(1, 5, 32)),
    "GLIGEN": functools.cache(tiny.gligen),
    "STYLE_MODEL": functools.cache(tiny.style_model),
    "HOOKS": lambda: None,  # no node makes them
    "TIMESTEPS_RANGE": lambda: (0.2, 0.5),
    "MODEL": functools.cache(tiny.model),
    "CLIP": functools.cache(tiny.text_encoders),
    "VAE": functools.cache(tiny.autoencoder),
}


def OPERATION(*, latent: torch.Tensor) -> torch.Tensor:
    return latent.mul_(2)  # careless on purpose


def value(spec: InputSpec) -> Any:
    if spec.choices_from == "input files (.latent)":
        return "a.latent"
    if spec.names_file:
        return "a.png"
    if spec.name == "steps":
        return 2
    if "default" in spec.options:
        return spec.options["default"]
    if spec.choices:
        return spec.choices[0]
    return {"INT": 1, "FLOAT": 1.0, "STRING": "a", "BOOLEAN": True}.get(spec.type) or SOCKETS[spec.type]()


def arguments(spec: NodeSpec, given: dict[str, Any]) -> dict[str, Any]:
    values = {each.name: value(each) for each in spec.declaration.inputs}
    if spec.declaration.takes_lists:
        values = {name: [each] for name, each in values.items()}
    return values | {name: given[name] for name in spec.given}


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if dataclasses.is_dataclass(a):  # frozen; what a changed model does is tested where it is sampled from
        return type(a) is type(b)
    if isinstance(a, SimpleNamespace):
        return [x.getvalue() for x in a.data] == [x.getvalue() for x in b.data]
    return a == b


def remembered(value: Any) -> Any:
    """A copy to compare with; of a model, sums over its weights."""
    if isinstance(value, torch.nn.Module):
        return {name: tensor.double().sum() for name, tensor in value.state_dict().items()}
    networks = [value.network] if hasattr(value, "network") else list(getattr(value, "networks", {}).values())
    if networks:
        return [{name: tensor.double().sum() for name, tensor in each.state_dict().items()} for each in networks]
    return value if dataclasses.is_dataclass(value) else copy.deepcopy(value)


@pytest.fixture
def surroundings(given: dict[str, Any], inputs: Inputs, tmp_path: Path) -> dict[str, Any]:
    from diffusion.images.latent_file import encode_latent

    for folder in ("input", "output"):
        inputs.root(folder).mkdir(exist_ok=True)
        Image.new("RGBA", (5, 4), (255, 0, 0, 99)).save(inputs.root(folder) / "a.png")
    (inputs.root("input") / "a.latent").write_bytes(encode_latent(draw(1, 4, 8, 8), {}))
    given["folders"] = Folders(tmp_path)
    given["previews"] = Previews("none")
    return given


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.id)
def test_a_node_is_a_function_of_its_inputs_and_leaves_them_alone(spec: NodeSpec, surroundings: dict[str, Any]):
    sent = arguments(spec, surroundings)
    before = {name: remembered(each) for name, each in sent.items() if name not in spec.given}
    first = spec.run(**sent)
    assert all(same(remembered(sent[name]), before[name]) for name in before)
    second = spec.run(**sent)
    assert isinstance(first, NodeResult)
    assert isinstance(second, NodeResult)
    if not spec.declaration.is_output:
        assert same(first.values, second.values)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.id)
def test_outputs_are_of_the_declared_types(spec: NodeSpec, surroundings: dict[str, Any]):
    result = spec.run(**arguments(spec, surroundings))
    assert isinstance(result, NodeResult)
    assert len(result.values) == len(spec.declaration.outputs)
    for made, output in zip(result.values, spec.declaration.outputs, strict=True):
        for each in made if output.is_list else [made]:
            match output.type:
                case "IMAGE":
                    assert each.dtype == torch.float32
                    assert each.ndim == 4
                    assert each.shape[-1] in (3, 4)
                    assert 0 <= each.min() <= each.max() <= 1
                case "MASK":
                    assert each.dtype == torch.float32
                    assert each.ndim == 3
                    assert 0 <= each.min() <= each.max() <= 1
                case "LATENT":
                    assert each["samples"].dtype == torch.float32
                    assert torch.isfinite(each["samples"]).all()
                case "INT" | "FLOAT" | "STRING" | "BOOLEAN":
                    assert type(each) is {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}[output.type]
                case _:
                    assert each is not None


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.id)
def test_a_value_of_another_kind_is_refused_by_name(spec: NodeSpec, surroundings: dict[str, Any]):
    sockets = [each for each in spec.declaration.inputs if each.type in ("IMAGE", "MASK", "LATENT", "SIGMAS")]
    for socket in sockets:
        sent = arguments(spec, surroundings)
        sent[socket.name] = ["nonsense"] if spec.declaration.takes_lists else "nonsense"
        with pytest.raises(ValueError, match=f'"{socket.name}": expected .*{socket.type}.*nonsense'):
            spec.run(**sent)


def carries(spec: NodeSpec) -> bool:
    """Whether the node changes a latent, one to one."""
    types = [each.type for each in spec.declaration.inputs], [output.type for output in spec.declaration.outputs]
    return "LATENT" in types[0] and types[1] == ["LATENT"] and not spec.declaration.takes_lists


@pytest.mark.parametrize(
    "spec",
    [spec for spec in SPECS if carries(spec)],
    ids=lambda spec: spec.id,
)
def test_what_a_latent_carries_that_we_do_not_know_is_carried_on(spec: NodeSpec, surroundings: dict[str, Any]):
    result = spec.run(**arguments(spec, surroundings))
    assert isinstance(result, NodeResult)
    assert result.values[0]["kept"] == "as it is"
