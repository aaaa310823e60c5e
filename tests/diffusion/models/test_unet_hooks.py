"""What may be changed inside a UNet, and that it is changed there and nowhere else."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from diffusion.models.unet import UNet
from diffusion.models.unet_config import UNetConfig
from diffusion.ops.attention import attention
from diffusion.patches.hooks import BlockInfo, BlockKind, CallInfo, Control, Forward, ModelHooks, NetworkCall, Place
from tests.diffusion.models.oracle import randomised

CONFIG = UNetConfig(
    in_channels=4,
    out_channels=4,
    base_width=32,
    level_widths=(32, 64),
    input_depths=((1, 1), (2, 0)),
    output_depths=((1, 1, 1), (2, 0, 0)),
    middle_residuals=2,
    middle_depth=1,
    context_width=16,
    vector_width=None,
    linear_projection=True,
    heads=4,
)
X, TIME, TEXT = torch.randn(4, 4, 8, 6), torch.tensor([1, 20, 300, 999]), torch.randn(4, 5, 16)
Predict = Callable[..., Tensor]


@pytest.fixture(scope="module")
def predict() -> Predict:
    network = UNet(CONFIG)
    randomised(network)

    def run(hooks: ModelHooks | None = None, info: CallInfo | None = None, control: Control | None = None) -> Tensor:
        return network(X, TIME, TEXT, None, control, hooks or ModelHooks(), info)

    return run


def standard(query: Tensor, key: Tensor, value: Tensor, info: BlockInfo) -> Tensor:
    return attention(query, key, value, info.heads)


def all_places() -> list[tuple[BlockKind, int, int]]:
    """Every transformer layer of the network: block kind, block, layer."""
    inputs: list[tuple[BlockKind, int, int]] = [("input", 1, 0), ("input", 2, 0), ("input", 4, 0), ("input", 4, 1)]
    outputs: list[tuple[BlockKind, int, int]] = [
        ("output", 0, 0),
        ("output", 0, 1),
        ("output", 3, 0),
        ("output", 4, 0),
        ("output", 5, 0),
    ]
    return [*inputs, ("middle", 0, 0), *outputs]


def test_hooks_meet_every_transformer_layer_in_order_of_execution(predict: Predict):
    seen: list[BlockInfo] = []

    def look(tokens: Tensor, info: BlockInfo) -> Tensor:
        seen.append(info)
        assert tokens.shape[1] == info.size[0] * info.size[1]
        assert tokens.shape[2] == info.heads * info.head_width
        return tokens

    torch.testing.assert_close(predict(ModelHooks(attn1_outputs=(look,))), predict())
    assert [(info.kind, info.index, info.transformer) for info in seen] == all_places()
    assert [info.transformer_total for info in seen] == list(range(10))
    assert [info.size for info in seen[:5]] == [(8, 6), (8, 6), (4, 3), (4, 3), (4, 3)]


def test_replacing_attention_by_the_same_attention_changes_nothing(predict: Predict):
    everywhere = {Place(kind, index, layer): standard for kind, index, layer in all_places()}
    hooks = ModelHooks(attn1_replacements=everywhere, attn2_replacements=everywhere)
    torch.testing.assert_close(predict(hooks), predict())


def test_a_replacement_is_called_at_its_address_only(predict: Predict):
    called: list[tuple[str, int, int]] = []

    def replacement(query: Tensor, key: Tensor, value: Tensor, info: BlockInfo) -> Tensor:
        called.append((info.kind, info.index, info.transformer))
        return torch.zeros_like(query)

    changed = predict(ModelHooks(attn1_replacements={Place("input", 4, 1): replacement}))
    assert called == [("input", 4, 1)]
    assert not torch.allclose(changed, predict())


def test_a_replacement_for_a_whole_block_yields_to_one_for_a_single_layer(predict: Predict):
    called: list[str] = []

    def named(name: str) -> Callable[[Tensor, Tensor, Tensor, BlockInfo], Tensor]:
        def replacement(query: Tensor, key: Tensor, value: Tensor, info: BlockInfo) -> Tensor:
            called.append(f"{name}{info.transformer}")
            return standard(query, key, value, info)

        return replacement

    predict(ModelHooks(attn2_replacements={Place("output", 0): named("block"), Place("output", 0, 1): named("layer")}))
    assert called == ["block0", "layer1"]


def test_attention_inputs_may_grow_the_context(predict: Predict):
    """Repeating every key and value equally leaves attention as it is; other values do not."""

    def repeat(query: Tensor, key: Tensor, value: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor, Tensor]:
        return query, key.repeat(1, 3, 1), value.repeat(1, 3, 1)

    def negate(query: Tensor, key: Tensor, value: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor, Tensor]:
        return query, key, -value

    torch.testing.assert_close(predict(ModelHooks(attn1_inputs=(repeat,), attn2_inputs=(repeat,))), predict())
    assert not torch.allclose(predict(ModelHooks(attn2_inputs=(negate,))), predict())


def test_hooks_between_the_attentions_see_tokens(predict: Predict):
    def add(tokens: Tensor, info: BlockInfo) -> Tensor:
        return tokens + 1

    def take(tokens: Tensor, info: BlockInfo) -> Tensor:
        return tokens - 1

    torch.testing.assert_close(predict(ModelHooks(between_attentions=(add, take))), predict())
    assert not torch.allclose(predict(ModelHooks(between_attentions=(add,))), predict())


def test_output_blocks_may_change_feature_map_and_skip_before_they_are_joined(predict: Predict):
    widths: list[tuple[int, int]] = []

    def look(hidden: Tensor, skip: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor]:
        widths.append((hidden.shape[1], skip.shape[1]))
        assert hidden.shape[2:] == skip.shape[2:]
        return hidden, skip

    def quieten(hidden: Tensor, skip: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor]:
        return hidden, skip * 0.5

    torch.testing.assert_close(predict(ModelHooks(output_blocks=(look,))), predict())
    assert widths == [(64, 64), (64, 64), (64, 32), (64, 32), (32, 32), (32, 32)]
    assert not torch.allclose(predict(ModelHooks(output_blocks=(quieten,))), predict())


def test_input_hooks_change_the_skip_or_spare_it(predict: Predict):
    """Whatever a hook does after the last input block has been kept reaches the output through the middle alone."""
    skips: list[Tensor] = []

    def negate_last(hidden: Tensor, info: BlockInfo) -> Tensor:
        return -hidden if info.index == 5 else hidden

    def keep_first(hidden: Tensor, skip: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor]:
        if info.index == 0:
            skips.append(skip)
        return hidden, skip

    look = ModelHooks(output_blocks=(keep_first,))
    predict(look)
    predict(look | ModelHooks(input_blocks_after_skip=(negate_last,)))
    predict(look | ModelHooks(input_blocks=(negate_last,)))
    plain, spared, changed = skips
    torch.testing.assert_close(spared, plain)
    torch.testing.assert_close(changed, -plain)


def test_the_middle_may_be_changed_as_by_a_control_residual(predict: Predict):
    residual = torch.randn(4, 64, 4, 3)

    def add(hidden: Tensor, info: BlockInfo) -> Tensor:
        assert (info.kind, info.index) == ("middle", 0)
        return hidden + residual

    torch.testing.assert_close(predict(ModelHooks(middle_block=(add,))), predict(control=Control(middle=residual)))


def test_the_embedding_of_time_may_be_changed(predict: Predict):
    def swap(emb: Tensor, base_width: int, info: CallInfo) -> Tensor:
        assert emb.shape == (4, 4 * base_width)
        return emb[[1, 0, 2, 3]]

    swapped, plain = predict(ModelHooks(emb=(swap,))), predict()
    assert not torch.allclose(swapped[:2], plain[:2])
    torch.testing.assert_close(swapped[2:], plain[2:])


def test_wrappers_nest_and_may_change_the_call(predict: Predict):
    order: list[str] = []

    def outer(forward: Forward, call: NetworkCall) -> Tensor:
        order.append("outer in")
        out = forward(call)
        order.append("outer out")
        return out * 2

    def inner(forward: Forward, call: NetworkCall) -> Tensor:
        order.append("inner")
        return forward(call)

    torch.testing.assert_close(predict(ModelHooks(wrappers=(outer, inner))), predict() * 2)
    assert order == ["outer in", "inner", "outer out"]


def test_joined_hooks_run_in_order_and_the_later_replacement_wins(predict: Predict):
    order: list[str] = []

    def noting(name: str) -> ModelHooks:
        def hook(hidden: Tensor, info: BlockInfo) -> Tensor:
            order.append(name)
            return hidden

        def replacement(query: Tensor, key: Tensor, value: Tensor, info: BlockInfo) -> Tensor:
            order.append(f"{name} attention")
            return standard(query, key, value, info)

        return ModelHooks(middle_block=(hook,), attn1_replacements={Place("middle", 0): replacement})

    predict(noting("first") | noting("second"))
    assert order == ["second attention", "first", "second"]


def test_hooks_know_which_rows_are_positive(predict: Predict):
    seen: list[CallInfo] = []

    def look(hidden: Tensor, info: BlockInfo) -> Tensor:
        seen.append(info.call)
        return hidden

    info = CallInfo(X.shape, torch.ones(4), roles=("positive", "negative"))
    predict(ModelHooks(middle_block=(look,)), info)
    assert seen == [info]
    assert (info.rows("positive"), info.rows("negative")) == ([0, 1], [2, 3])


def test_control_residuals_add_up_and_can_be_scaled():
    one = Control(skips=(torch.ones(1), None), middle=torch.ones(1))
    two = Control(inputs=(torch.ones(1),), skips=(torch.ones(1), torch.ones(1), torch.ones(1)))
    total = one + two.mapped(lambda residual: residual * 3)
    assert total.inputs == (torch.tensor([3.0]),)
    assert total.skips == (torch.tensor([4.0]), torch.tensor([3.0]), torch.tensor([3.0]))
    assert total.middle == torch.tensor([1.0])


@pytest.mark.parametrize(
    ("x", "context", "message"),
    [
        (torch.zeros(1, 9, 8, 8), torch.zeros(1, 3, 16), "takes latents of 4 channels, not 9"),
        (
            torch.zeros(1, 4, 8, 8),
            torch.zeros(1, 3, 24),
            "text of width 16, not 24: the prompt was encoded for another",
        ),
    ],
)
def test_inputs_for_another_network_are_refused(x: Tensor, context: Tensor, message: str):
    with torch.device("meta"):
        network = UNet(CONFIG)
    with pytest.raises(ValueError, match=message):
        network(x, torch.tensor([1]), context)
