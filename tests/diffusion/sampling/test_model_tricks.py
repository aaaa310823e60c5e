"""Tricks inside the network: what they promise, and that their neutral settings change nothing."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.handles import Model
from diffusion.patches.attention_multiply import with_scaled_attention
from diffusion.patches.deep_shrink import with_deep_shrink
from diffusion.patches.freeu import with_freeu, with_freeu_v2
from diffusion.patches.hooks import BlockInfo, ModelHooks
from diffusion.patches.hypertile import with_hypertile
from diffusion.patches.tome import matching, with_token_merging
from diffusion.sampling.guidance.core import Cfg
from diffusion.sampling.noise import initial_noise
from diffusion.sampling.process import process_of
from diffusion.sampling.sample import sample_guided
from diffusion.sampling.schedules import schedule
from diffusion.sampling.solvers import sampler
from tests.diffusion.models.oracle import TOLERANCE, relative_error
from tests.diffusion.sampling import tiny

MODEL = tiny.model()
SHAPE = (2, 4, 16, 24)
SIGMAS = schedule(process_of(MODEL.prediction).levels, "normal", 3)


def run(model: Model, shape: tuple[int, ...] = SHAPE) -> Tensor:
    guider = Cfg([tiny.text(1)], [tiny.text(2)], 5.0)
    return sample_guided(model, guider, torch.zeros(shape), initial_noise(shape, 3), sampler("euler"), SIGMAS).latent


TRICKS: dict[str, Callable[[Model], Model]] = {
    "freeu": with_freeu,
    "freeu v2": with_freeu_v2,
    "hypertile": lambda model: with_hypertile(model, tile_size=64, max_depth=1),
    "token merging": lambda model: with_token_merging(model, 0.5),
    "deep shrink": lambda model: with_deep_shrink(model, block_number=1, end_percent=0.6),
    "deep shrink before skip": lambda model: with_deep_shrink(model, block_number=1, after_skip=False),
    "scaled attention": lambda model: with_scaled_attention(model, "attn2", 1.0, 1.3, 0.7, 1.1),
}


@pytest.mark.parametrize("name", TRICKS)
def test_every_trick_changes_the_picture_and_one_seed_stays_one_picture(name: str):
    changed = run(TRICKS[name](MODEL))
    assert torch.isfinite(changed).all()
    assert relative_error(changed, run(MODEL)) > 1e-3
    assert torch.equal(changed, run(TRICKS[name](MODEL)))


@pytest.mark.parametrize("name", TRICKS)
def test_every_trick_takes_odd_sizes(name: str):
    assert torch.isfinite(run(TRICKS[name](MODEL), (1, 4, 13, 17))).all()


@pytest.mark.parametrize(
    "neutral",
    [
        lambda model: with_freeu(model, 1, 1, 1, 1),
        lambda model: with_freeu_v2(model, 1, 1, 1, 1),
        lambda model: with_hypertile(model, tile_size=2048),
        lambda model: with_token_merging(model, 0.0),
        lambda model: with_deep_shrink(model, downscale_factor=1.0),
        lambda model: with_deep_shrink(model, start_percent=0.6, end_percent=0.4),
        lambda model: with_scaled_attention(model, "attn1", 1, 1, 1, 1),
    ],
    ids=["freeu", "freeu v2", "one tile", "nothing merged", "factor 1", "empty range", "all ones"],
)
def test_neutral_settings_change_nothing(neutral: Callable[[Model], Model]):
    assert relative_error(run(neutral(MODEL)), run(MODEL)) < TOLERANCE


def sizes_seen(model: Model) -> list[tuple[int, int]]:
    """Heights and widths of the feature maps that output blocks of the first call are given."""
    seen: list[tuple[int, int]] = []

    def look(hidden: Tensor, skip: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor]:
        seen.append((hidden.shape[2], hidden.shape[3]))
        return hidden, skip

    run(model.with_hooks(ModelHooks(output_blocks=(look,))))
    return seen[:4]


def test_deep_shrink_halves_the_inside_and_restores_it_at_the_skips():
    inner: list[tuple[int, int]] = []

    def look(hidden: Tensor, info: BlockInfo) -> Tensor:
        inner.append((hidden.shape[2], hidden.shape[3]))
        return hidden

    shrunk = with_deep_shrink(MODEL, block_number=1).with_hooks(ModelHooks(middle_block=(look,)))
    run(shrunk)
    assert inner[0] == (4, 6)
    assert inner[-1] == (8, 12)
    assert sizes_seen(MODEL) == [(8, 12), (8, 12), (16, 24), (16, 24)]
    assert sizes_seen(with_deep_shrink(MODEL, block_number=1)) == [(4, 6), (4, 6), (16, 24), (16, 24)]


def test_hypertile_attends_within_tiles():
    seen: list[tuple[int, ...]] = []

    def look(query: Tensor, key: Tensor, value: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor, Tensor]:
        seen.append(tuple(query.shape[:2]))
        return query, key, value

    tiled = with_hypertile(MODEL, tile_size=64).with_hooks(ModelHooks(attn1_inputs=(look,)))
    run(tiled)
    assert (2 * 2 * 2 * 3, 8 * 8) in seen  # positive and negative of two latents, in 2 x 3 tiles


def test_merged_tokens_are_averages_and_come_back_where_they_were():
    tokens = torch.randn(2, 64, 8, generator=torch.Generator().manual_seed(0))
    merge, unmerge = matching(tokens, (8, 8), 0.5, torch.Generator().manual_seed(1))
    merged = merge(tokens)
    assert merged.shape == (2, 32, 8)
    back = unmerge(merged)
    assert back.shape == tokens.shape
    kept = (back == tokens).all(dim=-1)
    assert int(kept.sum()) >= 2 * 16
    same, undo = matching(torch.ones(1, 64, 8), (8, 8), 0.5, torch.Generator().manual_seed(1))
    torch.testing.assert_close(undo(same(torch.ones(1, 64, 8))), torch.ones(1, 64, 8))


def test_freeu_multiplies_half_of_the_backbone_and_the_low_frequencies():
    hook: Any = with_freeu(MODEL, b1=1.0, b2=2.0, s1=1.0, s2=0.5).hooks.output_blocks[0]
    hidden, skip = torch.ones(1, 64, 8, 8), torch.ones(1, 32, 8, 8)
    changed, changed_skip = hook(hidden, skip, None)
    assert (changed[:, :32] == 2).all()
    assert (changed[:, 32:] == 1).all()
    torch.testing.assert_close(changed_skip, skip * 0.5)  # a flat map is lowest frequency only
    untouched, _ = hook(torch.ones(1, 48, 8, 8), skip, None)
    assert (untouched == 1).all()


def test_scaling_attention_leaves_the_original_weights_alone():
    before = {name: tensor.clone() for name, tensor in MODEL.network.state_dict().items()}
    run(with_scaled_attention(MODEL, "attn1", 2.0, 1.0, 1.0, 1.0))
    assert all(torch.equal(before[name], tensor) for name, tensor in MODEL.network.state_dict().items())
