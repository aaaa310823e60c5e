"""Each algorithm changes a weight as its paper defines it, written out here in plain sums."""

import numpy as np
import pytest
import torch
from torch import Tensor

from diffusion.patches.lora.adapters import AdapterDoesNotFit, changed

OUT, IN, R, K = 6, 8, 2, 3


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def applied(weight: Tensor, tensors: dict[str, Tensor], strength: float = 1.0) -> Tensor:
    return changed(weight, tensors, strength)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def linear() -> Tensor:
    return torch.randn(OUT, IN)


def conv() -> Tensor:
    return torch.randn(OUT, IN, K, K)


def test_lora_adds_up_times_down_scaled_by_alpha_over_rank():
    w, up, down = linear(), torch.randn(OUT, R), torch.randn(R, IN)
    expected = w.clone()
    for o in range(OUT):
        for i in range(IN):
            expected[o, i] += 0.7 * (3.0 / R) * sum(up[o, r] * down[r, i] for r in range(R))
    close(applied(w, {"up": up, "down": down, "alpha": torch.tensor(3.0)}, 0.7), expected)


def test_without_alpha_the_scale_is_one_and_alpha_zero_changes_nothing():
    w, factors = linear(), {"up": torch.randn(OUT, R), "down": torch.randn(R, IN)}
    close(applied(w, factors), w + factors["up"] @ factors["down"])
    close(applied(w, {**factors, "alpha": torch.tensor(0.0)}), w)


def test_a_convolution_by_lora_is_two_convolutions_one_after_the_other():
    w, up, down = conv(), torch.randn(OUT, R, 1, 1), torch.randn(R, IN, K, K)
    x = torch.randn(1, IN, 7, 7)
    both = torch.conv2d(x, w) + torch.conv2d(torch.conv2d(x, down), up)
    close(torch.conv2d(x, applied(w, {"up": up, "down": down})), both)


def test_a_convolution_with_a_core_is_three_convolutions():
    w, up, mid, down = conv(), torch.randn(OUT, R, 1, 1), torch.randn(R, R, K, K), torch.randn(R, IN, 1, 1)
    x = torch.randn(1, IN, 7, 7)
    both = torch.conv2d(x, w) + torch.conv2d(torch.conv2d(torch.conv2d(x, down), mid), up)
    close(torch.conv2d(x, applied(w, {"up": up, "mid": mid, "down": down})), both)


@pytest.mark.parametrize("stored", [(OUT, R), (OUT, R, 1, 1)])
def test_a_matrix_and_a_1x1_convolution_are_the_same(stored: tuple[int, ...]):
    w = torch.randn(OUT, IN, 1, 1)
    up, down = torch.randn(stored), torch.randn(R, IN, *stored[2:])
    close(applied(w, {"up": up, "down": down}).flatten(1), w.flatten(1) + up.flatten(1) @ down.flatten(1))


def test_loha_multiplies_two_low_rank_matrices_elementwise():
    w = linear()
    t = {f"hada_w{i}_{x}": torch.randn(OUT, R) if x == "a" else torch.randn(R, IN) for i in (1, 2) for x in "ab"}
    expected = w.clone()
    for o in range(OUT):
        for i in range(IN):
            expected[o, i] += (
                (4 / R) * (t["hada_w1_a"][o] @ t["hada_w1_b"][:, i]) * (t["hada_w2_a"][o] @ t["hada_w2_b"][:, i])
            )
    close(applied(w, {**t, "alpha": torch.tensor(4.0)}), expected)


def test_loha_of_a_convolution_may_be_flat_or_have_cores():
    w = conv()
    flat = {
        f"hada_w{i}_{x}": torch.randn(OUT, R) if x == "a" else torch.randn(R, IN * K * K) for i in (1, 2) for x in "ab"
    }
    product = (flat["hada_w1_a"] @ flat["hada_w1_b"]) * (flat["hada_w2_a"] @ flat["hada_w2_b"])
    close(applied(w, flat), w + product.reshape(w.shape))
    cored = {f"hada_w{i}_{x}": torch.randn(R, OUT if x == "a" else IN) for i in (1, 2) for x in "ab"}
    cored |= {f"hada_t{i}": torch.randn(R, R, K, K) for i in (1, 2)}
    factors = [
        sum(
            cored[f"hada_t{n}"][i, j] * torch.outer(cored[f"hada_w{n}_a"][i], cored[f"hada_w{n}_b"][j])[..., None, None]
            for i in range(R)
            for j in range(R)
        )
        for n in (1, 2)
    ]
    assert isinstance(factors[0], Tensor)
    close(applied(w, cored), w + factors[0] * factors[1])


def test_lokr_is_the_kronecker_product_and_alpha_counts_only_with_a_low_rank_factor():
    w, first, a, b = linear(), torch.randn(2, 4), torch.randn(3, R), torch.randn(R, 2)
    full = torch.tensor(np.kron(first.numpy(), (a @ b).numpy()))
    alpha = torch.tensor(6.0)
    close(applied(w, {"lokr_w1": first, "lokr_w2_a": a, "lokr_w2_b": b, "alpha": alpha}), w + 6 / R * full)
    close(applied(w, {"lokr_w1": first, "lokr_w2": a @ b, "alpha": alpha}), w + full)


def test_lokr_with_two_low_rank_factors():
    w = linear()
    a1, b1, a2, b2 = torch.randn(2, R), torch.randn(R, 4), torch.randn(3, R), torch.randn(R, 2)
    expected = w + torch.tensor(np.kron((a1 @ b1).numpy(), (a2 @ b2).numpy())) / R
    stored = {"lokr_w1_a": a1, "lokr_w1_b": b1, "lokr_w2_a": a2, "lokr_w2_b": b2, "alpha": torch.tensor(1.0)}
    close(applied(w, stored), expected)


def test_lokr_of_a_convolution_with_a_core():
    w, first = conv(), torch.randn(2, 4)
    core, a, b = torch.randn(R, R, K, K), torch.randn(R, 3), torch.randn(R, 2)
    found = applied(w, {"lokr_w1": first, "lokr_t2": core, "lokr_w2_a": a, "lokr_w2_b": b}) - w
    for y in range(K):
        for x in range(K):
            second = a.T @ core[:, :, y, x] @ b
            close(found[:, :, y, x], torch.tensor(np.kron(first.numpy(), second.numpy())))


@pytest.mark.parametrize("swapped", [False, True])
def test_glora_is_w_times_a_plus_b_however_its_factors_are_called(swapped: bool):
    w, tall, wide = linear(), torch.randn(IN, R), torch.randn(R, IN)
    up, down = torch.randn(OUT, R), torch.randn(R, IN)
    stored = {"a1": tall, "a2": wide, "b1": up, "b2": down, "alpha": torch.tensor(1.0)}
    if swapped:
        stored |= {"a1": wide, "a2": tall, "b1": down, "b2": up}
    close(applied(w, stored), w + (w @ tall @ wide + up @ down) / R)


def test_oft_turns_rows_without_changing_their_lengths():
    w, blocks = conv(), 0.3 * torch.randn(3, 2, 2)
    turned = applied(w, {"oft_blocks": blocks})
    grouped, before = turned.reshape(3, 2, -1), w.reshape(3, 2, -1)
    close(grouped.mT @ grouped, before.mT @ before)
    assert not torch.allclose(turned, w, atol=1e-2)
    close(applied(w, {"oft_blocks": torch.zeros(3, 2, 2)}), w)


def test_the_constraint_of_oft_bounds_the_turn():
    w, blocks = linear(), torch.randn(3, 2, 2)
    tight = applied(w, {"oft_blocks": blocks, "alpha": torch.tensor(1e-6)})
    assert (tight - w).abs().max() < 1e-3


def test_differences_are_added_and_replacements_take_the_weights_place():
    w, other = linear(), linear()
    close(applied(w, {"diff": other}, 0.5), w + 0.5 * other)
    close(applied(w, {"set": other}), other)


@pytest.mark.parametrize("weight", [linear, conv])
def test_dora_per_input_column_gives_each_column_its_length(weight):
    w = weight()
    up, down = torch.randn(OUT, R, *[1] * (w.ndim - 2)), torch.randn(R, *w.shape[1:])
    magnitude = torch.rand(1, IN, *[1] * (w.ndim - 2)) + 0.5
    found = applied(w, {"up": up, "down": down, "dora_scale": magnitude})
    plain = applied(w, {"up": up, "down": down})
    for i in range(IN):
        close(found[:, i].norm(), magnitude.flatten()[i])
        close(found[:, i] / found[:, i].norm(), plain[:, i] / plain[:, i].norm())


def test_dora_per_output_row_divides_by_the_length_before_the_change():
    w, up, down = linear(), torch.randn(OUT, R), torch.randn(R, IN)
    magnitude = torch.rand(OUT, 1) + 0.5
    found = applied(w, {"up": up, "down": down, "dora_scale": magnitude})
    close(found, (w + up @ down) * magnitude / w.norm(dim=1, keepdim=True))


def test_dora_of_peft_gives_each_row_its_length():
    w, up, down = linear(), torch.randn(OUT, R), torch.randn(R, IN)
    magnitude = torch.rand(OUT) + 0.5
    close(applied(w, {"up": up, "down": down, "dora_scale": magnitude}).norm(dim=1), magnitude)


def test_dora_at_part_strength_lies_between():
    w, t = linear(), {"up": torch.randn(OUT, R), "down": torch.randn(R, IN), "dora_scale": torch.rand(1, IN)}
    close(applied(w, t, 0.3), torch.lerp(w, applied(w, t), 0.3))
    close(applied(w, t, 0.0), w)


@pytest.mark.parametrize(
    "tensors",
    [
        {"up": torch.ones(OUT, R), "down": torch.ones(R, IN + 1)},
        {"up": torch.ones(OUT + 1, R), "down": torch.ones(R, IN)},
        {"diff": torch.ones(IN, OUT)},
        {"oft_blocks": torch.ones(4, 2, 2)},
        {"diff": torch.ones(OUT, IN), "dora_scale": torch.ones(1, IN + 1)},
    ],
)
def test_an_adapter_of_another_shape_is_refused(tensors: dict[str, Tensor]):
    with pytest.raises(AdapterDoesNotFit):
        applied(torch.ones(OUT, IN), tensors)
