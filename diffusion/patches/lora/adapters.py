"""The algorithms by which low-rank files change one weight, each by its paper.

Every function takes the weight in float32, (out, in) or (out, in, kh, kw), and the tensors of one module under the
names of `keys.ROLES`, and returns the changed weight. `scale` is alpha divided by the rank wherever there is a rank.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]


class AdapterDoesNotFit(ValueError):
    """An adapter whose shapes do not make a change of the weight's shape."""


def rank_of(tensors: Tensors) -> int | None:
    """Length of the inner axis of the low-rank factors; None if every factor is full."""
    for role, axis in (("down", 0), ("hada_w1_b", 0), ("lokr_w2_b", 0), ("lokr_w1_b", 0)):
        if role in tensors:
            return tensors[role].shape[axis]
    return None


def scale_of(tensors: Tensors) -> float:
    """alpha / rank; 1 where there is no alpha, or no low-rank factor to which it could refer."""
    rank = rank_of(tensors)
    return float(tensors["alpha"]) / rank if "alpha" in tensors and rank else 1.0


def lora(weight: Tensor, t: Tensors) -> Tensor:
    """up @ down (arXiv:2106.09685); for convolutions also with a core between them (LoCon, arXiv:2309.14859)."""
    if "mid" in t:
        delta = torch.einsum("or,rskl,si->oikl", t["up"].flatten(1), t["mid"], t["down"].flatten(1))
    else:
        delta = t["up"].flatten(1) @ t["down"].flatten(1)
    return scale_of(t) * shaped(delta, weight)


def loha(weight: Tensor, t: Tensors) -> Tensor:
    """The elementwise product of two low-rank matrices (arXiv:2309.14859)."""
    first, second = (
        tucker(t[f"hada_t{i}"], t[f"hada_w{i}_a"], t[f"hada_w{i}_b"])
        if f"hada_t{i}" in t
        else t[f"hada_w{i}_a"] @ t[f"hada_w{i}_b"]
        for i in (1, 2)
    )
    return scale_of(t) * shaped(first * second, weight)


def lokr(weight: Tensor, t: Tensors) -> Tensor:
    """The Kronecker product of two matrices, each full or low-rank (arXiv:2309.14859)."""
    first = t["lokr_w1"] if "lokr_w1" in t else t["lokr_w1_a"] @ t["lokr_w1_b"]
    if "lokr_w2" in t:
        second = t["lokr_w2"]
    elif "lokr_t2" in t:
        second = tucker(t["lokr_t2"], t["lokr_w2_a"], t["lokr_w2_b"])
    else:
        second = t["lokr_w2_a"] @ t["lokr_w2_b"]
    first = first.reshape(*first.shape, *[1] * (second.ndim - first.ndim))
    return scale_of(t) * shaped(torch.kron(first, second.contiguous()), weight)


def tucker(core: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """A convolution from a core, (R, R, kh, kw), and a factor for its outputs, (R, out), and inputs, (R, in)."""
    return torch.einsum("ijkl,jr,ip->prkl", core, b, a)


def glora(weight: Tensor, t: Tensors) -> Tensor:
    """W A + B with low-rank A and B (arXiv:2306.07967). Files differ in which factor they call the first."""
    matrix = weight.flatten(1)
    inner, outer = _product(t["a1"], t["a2"], matrix.shape[1]), _product(t["b1"], t["b2"], matrix.shape[0])
    rank = min(t["a1"].shape)
    scale = float(t["alpha"]) / rank if "alpha" in t else 1.0
    return scale * shaped(matrix @ inner + outer, weight)


def _product(first: Tensor, second: Tensor, rows: int) -> Tensor:
    first, second = first.flatten(1), second.flatten(1)
    return first @ second if first.shape[0] == rows and first.shape[1] == second.shape[0] else second @ first


def oft(weight: Tensor, t: Tensors) -> Tensor:
    """Blocks of output rows turned by orthogonal matrices, the Cayley transforms of the stored ones (arXiv:2306.07280).

    alpha bounds how far: the norm of the skew-symmetric part, times the number of outputs.
    """
    blocks = t["oft_blocks"]
    skew = blocks - blocks.mT
    if "alpha" in t:
        norm = skew.square().sum().sqrt() + 1e-8
        skew = skew * (norm.clamp(max=float(t["alpha"]) * weight.shape[0] + 1e-8) / norm)
    eye = torch.eye(blocks.shape[-1], device=weight.device)
    turn = (eye + skew) @ torch.inverse(eye - skew)
    if blocks.ndim != 3 or blocks.shape[0] * blocks.shape[1] != weight.shape[0]:
        raise AdapterDoesNotFit(f"blocks {tuple(blocks.shape)} do not turn {weight.shape[0]} outputs")
    rows = weight.reshape(blocks.shape[0], blocks.shape[1], -1)
    return torch.einsum("knm,knx->kmx", turn - eye, rows).reshape(weight.shape)


def full(weight: Tensor, t: Tensors) -> Tensor:
    """A stored difference."""
    return shaped(t["diff"], weight)


def replacement(weight: Tensor, t: Tensors) -> Tensor:
    """A stored weight, as the difference to the one there is."""
    return shaped(t["set"], weight) - weight


def bias(weight: Tensor, t: Tensors) -> Tensor:
    """A stored difference of a bias."""
    return shaped(t["diff_b"], weight)


DELTAS: Mapping[str, Callable[[Tensor, Tensors], Tensor]] = {
    # A role that only this algorithm has -> the algorithm.
    "up": lora,
    "hada_w1_a": loha,
    "lokr_w1": lokr,
    "lokr_w1_a": lokr,
    "a1": glora,
    "oft_blocks": oft,
    "diff": full,
    "set": replacement,
}


def changed(weight: Tensor, tensors: Tensors, strength: float) -> Tensor:
    """The weight with one module of a file applied at this strength."""
    algorithm = next((DELTAS[role] for role in tensors if role in DELTAS), None)
    if algorithm is None:
        return weight
    if algorithm is lora and not tensors.keys() & {"mid", "dora_scale"}:
        return _added_product(
            weight, tensors["up"].flatten(1), tensors["down"].flatten(1), strength * scale_of(tensors)
        )
    delta = algorithm(weight, tensors)
    if "dora_scale" in tensors:
        return weight + strength * (dora(weight, delta, tensors["dora_scale"]) - weight)
    return weight + strength * delta


def _added_product(weight: Tensor, up: Tensor, down: Tensor, scale: float) -> Tensor:
    """weight + scale * up @ down in one pass: memory for the product alone would double the time of the usual case."""
    matrix = weight.flatten(1)
    if (up.shape[0], down.shape[1]) != matrix.shape or up.shape[1] != down.shape[0]:
        raise AdapterDoesNotFit(
            f"factors {tuple(up.shape)} and {tuple(down.shape)} for a weight of shape {tuple(weight.shape)}"
        )
    return torch.addmm(matrix, up, down, alpha=scale).reshape(weight.shape)


def dora(weight: Tensor, delta: Tensor, magnitude: Tensor) -> Tensor:
    """The changed weight with its direction kept and its length set (arXiv:2402.09353).

    magnitude: (1, in, …), a length for each input column of the changed weight, as LyCORIS trains by default; (out, 1,
    …), for each output row, where the length divided by is that of the weight before the change, as in the programs
    that made pictures with such files; or (out,), for each output row of the changed weight, as in the paper and PEFT.
    """
    moved = weight + delta
    if magnitude.numel() == weight.shape[0] and (magnitude.ndim == 1 or magnitude.shape[0] == weight.shape[0]):
        length = row_lengths(moved if magnitude.ndim == 1 else weight)
        each = (-1, *[1] * (weight.ndim - 1))
    elif magnitude.numel() == weight.shape[1]:
        length = row_lengths(moved.transpose(0, 1))
        each = (1, -1, *[1] * (weight.ndim - 2))
    else:
        raise AdapterDoesNotFit(f"magnitudes {tuple(magnitude.shape)} for a weight {tuple(weight.shape)}")
    return moved * (magnitude.flatten() / (length + torch.finfo(torch.float32).eps)).reshape(each)


def row_lengths(weight: Tensor) -> Tensor:
    """Euclidean length of each row along the first axis, (rows,)."""
    return weight.flatten(1).square().sum(dim=1).sqrt()


def shaped(delta: Tensor, weight: Tensor) -> Tensor:
    """The change in the weight's own shape; a linear layer may be stored as 1x1 convolution and the other way round."""
    if delta.shape == weight.shape:
        return delta
    same_matrix = delta.shape[:1] == weight.shape[:1] and delta.numel() == math.prod(weight.shape)
    if not same_matrix:
        raise AdapterDoesNotFit(f"a change of shape {tuple(delta.shape)} for a weight of shape {tuple(weight.shape)}")
    return delta.reshape(weight.shape)
