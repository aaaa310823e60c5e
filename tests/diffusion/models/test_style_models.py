"""Networks that make tokens of what an image encoder saw, against the definitions they were published with."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from diffusion.models.style import Redux, ReduxConfig, StyleAdapter, StyleConfig
from diffusion.store import ModelStore
from tests.diffusion.models.oracle import randomised


class Reference(nn.Module):
    """The style adapter's layers on (T, B, D) tokens, as MultiheadAttention has them by default."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed)[0]
        h = self.mlp["c_fc"](self.ln_2(x))
        return x + self.mlp["c_proj"](h * torch.sigmoid(1.702 * h))


def test_a_style_adapter_reads_its_file_and_turns_a_picture_into_tokens(tmp_path: Path):
    made = randomised(StyleAdapter(StyleConfig(width=32, out_width=16, tokens=4, layers=2)))
    save_file(made.state_dict(), tmp_path / "style.safetensors")
    style = ModelStore().style_model(tmp_path / "style.safetensors")
    assert isinstance(style, StyleAdapter)
    assert style.config == StyleConfig(32, 16, 4, 2)
    seen = torch.randn(2, 9, 32)
    reference = nn.Sequential(Reference(32, 8), Reference(32, 8))
    state = made.state_dict()
    reference.load_state_dict({n.removeprefix("transformer_layes."): t for n, t in state.items() if "layes" in n})
    with torch.no_grad():
        x = torch.cat([seen, state["style_embedding"].repeat(2, 1, 1)], 1)
        x = nn.functional.layer_norm(x, (32,), state["ln_pre.weight"], state["ln_pre.bias"])
        x = reference(x.transpose(0, 1)).transpose(0, 1)[:, 9:]
        x = nn.functional.layer_norm(x, (32,), state["ln_post.weight"], state["ln_post.bias"])
        assert torch.allclose(style(seen), x @ state["proj"], atol=1e-4)


def test_redux_is_two_layers_over_every_token(tmp_path: Path):
    made = randomised(Redux(ReduxConfig(12, 24, 16)))
    save_file(made.state_dict(), tmp_path / "redux.safetensors")
    redux = ModelStore().style_model(tmp_path / "redux.safetensors")
    assert isinstance(redux, Redux)
    seen = torch.randn(1, 5, 12)
    state = made.state_dict()
    hidden = nn.functional.silu(seen @ state["redux_up.weight"].T + state["redux_up.bias"])
    expected = hidden @ state["redux_down.weight"].T + state["redux_down.bias"]
    assert torch.allclose(redux(seen), expected, atol=1e-5)
