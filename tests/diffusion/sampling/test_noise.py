"""Noise is the same on every machine, and what its seed and place in the batch say."""

import pytest
import torch

from diffusion.sampling.noise import BrownianNoise, SeededNoise, initial_noise, no_noise


def test_seed_zero_gives_the_numbers_every_program_gives():
    noise = initial_noise((1, 4, 8, 8), seed=0)
    first = [-1.12583983, -1.15236020, -0.25057858, -0.43387881]
    assert noise.dtype == torch.float32
    assert noise.flatten()[:4].tolist() == pytest.approx(first, abs=5e-9)


def test_drawing_noise_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    initial_noise((2, 4, 8, 8), seed=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_latent_taken_out_of_a_batch_gets_the_noise_it_had_there():
    batch = initial_noise((4, 4, 8, 8), seed=3)
    taken = initial_noise((2, 4, 8, 8), seed=3, batch_index=[3, 1])
    assert torch.equal(taken, batch[[3, 1]])


def test_repeated_places_share_their_noise():
    noise = initial_noise((3, 4, 8, 8), seed=3, batch_index=[0, 2, 2])
    assert torch.equal(noise[1], noise[2])
    assert not torch.equal(noise[0], noise[1])


def test_rows_of_a_size_not_divisible_by_sixteen_are_drawn_one_by_one():
    alone = initial_noise((1, 4, 65, 65), seed=3)
    indexed = initial_noise((1, 4, 65, 65), seed=3, batch_index=[0])
    assert torch.equal(alone, indexed)
    batch = initial_noise((3, 4, 65, 65), seed=3)
    assert not torch.equal(batch[:1], alone)  # a property of torch's generator that pictures depend on


def test_seeds_go_up_to_64_bits():
    assert torch.isfinite(initial_noise((1, 4, 8, 8), seed=2**64 - 1)).all()
    for seed in (-1, 2**64):
        with pytest.raises(ValueError, match="2\\^64"):
            initial_noise((1, 4, 8, 8), seed=seed)


def test_a_batch_index_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="batch_index"):
        initial_noise((2, 4, 8, 8), seed=0, batch_index=[0])


def test_disabled_noise_is_zero():
    assert not no_noise((1, 4, 8, 8)).any()


def test_on_the_cpu_the_first_step_noise_repeats_the_initial_noise():
    x = torch.zeros(1, 4, 8, 8)
    assert torch.equal(SeededNoise(x, 11)(2.0, 1.0), initial_noise(x.shape, 11))


def test_brownian_increments_add_up_over_any_subdivision():
    noise = BrownianNoise(torch.zeros(2, 4, 8, 8), 0.03, 14.6, seed=5)
    whole = noise(9.0, 1.0) * 8.0**0.5
    parts = noise(9.0, 4.0) * 5.0**0.5 + noise(4.0, 1.0) * 3.0**0.5
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-4)


def test_brownian_noise_is_standard_normal_and_independent_between_steps():
    noise = BrownianNoise(torch.zeros(1, 1, 100, 100), 0.03, 14.6, seed=5)
    first, second = noise(14.6, 6.0), noise(6.0, 0.5)
    for draw in (first, second):
        assert float(draw.mean()) == pytest.approx(0, abs=0.04)
        assert float(draw.std()) == pytest.approx(1, abs=0.03)
    assert float((first * second).mean()) == pytest.approx(0, abs=0.04)


def test_going_backwards_along_the_path_turns_the_sign():
    noise = BrownianNoise(torch.zeros(1, 4, 8, 8), 0.03, 14.6, seed=5)
    assert torch.equal(noise(2.0, 1.0), -noise(1.0, 2.0))
