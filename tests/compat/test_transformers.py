"""Models of transformers' lines, in packs' loop and with packs' patches."""

from typing import Any

import pytest
import torch
from torch import Tensor

from compat.border import from_pack, to_pack
from compat.world import World
from diffusion.handles import Model
from diffusion.sampling.guidance.core import Cfg
from diffusion.sampling.noise import initial_noise
from diffusion.sampling.process import process_of
from diffusion.sampling.sample import sample_guided
from diffusion.sampling.schedules import simple
from diffusion.sampling.solvers import sampler
from nodes.wire import conditions
from tests.compat.test_sampling import close
from tests.diffusion.models.oracle import randomised
from tests.diffusion.sampling.test_every_line import CONFIGS

Conds = tuple[list[Any], list[Any]]


def model_of(line: str) -> tuple[Model, Conds]:
    family, config, width, pooled_width = CONFIGS[line]
    variant = family.variant({})
    model = Model(randomised(family.build(config)), family, config, variant.prediction, variant.latent)

    def prompt(seed: int, tokens: int) -> list[Any]:
        generator = torch.Generator().manual_seed(seed)
        pooled = None if pooled_width is None else torch.randn(1, pooled_width, generator=generator)
        options: dict[str, Any] = {} if pooled is None else {"pooled_output": pooled, "guidance": 2.5}
        return [[torch.randn(1, tokens, width, generator=generator), options]]

    return model, (prompt(1, 7), prompt(2, 5))


def ours(model: Model, conds: Conds) -> Tensor:
    shape = (1, model.latent.channels, 6, 10)
    guider = Cfg(conditions(conds[0]), conditions(conds[1]), 3.0)
    sigmas = simple(process_of(model.prediction).levels, 2)
    return sample_guided(
        model, guider, torch.zeros(shape), initial_noise(shape, 1), sampler("euler"), sigmas, seed=1
    ).latent


def theirs(patcher: Any, conds: Conds) -> Tensor:
    from comfy import sample

    latent = sample.fix_empty_latent_channels(patcher, torch.zeros(1, 4, 6, 10))
    noise = sample.prepare_noise(latent, 1)
    return sample.sample(patcher, noise, 2, 3.0, "euler", "simple", *conds, latent, seed=1)


@pytest.mark.parametrize("line", CONFIGS)
def test_every_line_is_sampled_as_by_ours(line: str, world: World):
    model, conds = model_of(line)
    assert close(theirs(to_pack(model), conds), ours(model, conds))


def test_blocks_of_two_streams_and_of_one_are_replaced_at_their_address(world: World):
    model, conds = model_of("Flux")
    patcher = to_pack(model)
    seen: list[Any] = []

    def same(args: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
        seen.append((args["transformer_options"]["block"], sorted(key for key in args if args[key] is not None)))
        return extra["original_block"](args)

    def louder(args: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
        made = extra["original_block"](args)
        return {**made, "img": made["img"] * 1.5}

    unchanged, changed = patcher.clone(), patcher.clone()
    unchanged.set_model_patch_replace(same, "dit", "double_block", 0)
    unchanged.set_model_patch_replace(same, "dit", "single_block", 0)
    changed.set_model_patch_replace(louder, "dit", "double_block", 0)
    plain = theirs(patcher, conds)
    assert close(theirs(unchanged, conds), plain)
    assert ("double_block", 0) in [block for block, _ in seen]
    assert ("single_block", 0) in [block for block, _ in seen]
    assert {"img", "txt"} <= set(seen[0][1])
    assert not close(theirs(changed, conds), plain)
    assert close(ours(from_pack(changed), conds), theirs(changed, conds))


def test_a_patch_follows_every_block_of_two_streams(world: World):
    model, conds = model_of("Flux")
    patcher = to_pack(model)
    numbers: list[int] = []

    def after(args: dict[str, Any]) -> dict[str, Any]:
        numbers.append(args["block_index"])
        return {"img": args["img"], "txt": args["txt"]}

    changed = patcher.clone()
    changed.set_model_double_block_patch(after)
    assert close(theirs(changed, conds), theirs(patcher, conds))
    assert set(numbers) == set(range(len(model.network.double_blocks)))  # pyright: ignore[reportArgumentType]


def test_lines_are_told_by_their_classes(world: World):
    from comfy import model_base, supported_models

    flux, sd3 = (to_pack(model_of(line)[0]).model for line in ("Flux", "SD3"))
    assert isinstance(flux, model_base.Flux)
    assert isinstance(sd3, model_base.SD3)
    assert flux.model_type == model_base.ModelType.FLUX
    assert sd3.model_type == model_base.ModelType.FLOW
    assert isinstance(flux.model_config, supported_models.Flux)
    assert flux.latent_format.latent_channels == 16
