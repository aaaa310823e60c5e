"""Deciding what is on the device: integers in, integers out."""

import random
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from typing import NamedTuple

import pytest

from diffusion.memory.plan import NoRoom, Resident, Wanted, plan


def test_what_fits_is_loaded_and_nothing_leaves():
    made = plan([Wanted("unet", 5, passes=20)], [Resident("clip", 2)], room=8)
    assert (made.load, made.evict, made.stream) == ({"unet": 5}, {}, {})
    assert made.hold == {"unet": 5, "clip": 2}


def test_what_is_there_is_not_moved_again():
    made = plan([Wanted("unet", 5, present=5, passes=20)], [Resident("vae", 1)], room=8)
    assert (made.load, made.evict, made.stream) == ({}, {}, {})


def test_only_as_much_leaves_as_must():
    made = plan([Wanted("unet", 5, passes=20)], [Resident("other", 6)], room=8)
    assert made.evict == {"other": 3}


@pytest.mark.parametrize(
    ("residents", "leaves"),
    [
        ([Resident("soon", 3, next_use=1), Resident("late", 3, next_use=7)], {"late": 3}),
        ([Resident("known", 3, next_use=7), Resident("unknown", 3, last_use=9)], {"unknown": 3}),
        ([Resident("old", 3, last_use=1), Resident("new", 3, last_use=2)], {"old": 3}),
        ([Resident("late", 3, next_use=7), Resident("later", 3, next_use=8), Resident("now", 3, next_use=1)],
         {"late": 3, "later": 3}),
    ],
)  # fmt: skip
def test_what_is_needed_farthest_in_the_future_leaves_first(residents: list[Resident], leaves: Mapping[str, int]):
    assert plan([Wanted("unet", 4, passes=20)], residents, room=7).evict == leaves


def test_what_does_not_fit_is_streamed_in_part_and_its_window_is_kept_free():
    made = plan([Wanted("unet", 12, passes=20, window=2)], [Resident("clip", 2)], room=8)
    assert (made.hold, made.stream, made.evict) == ({"unet": 6}, {"unet": 6}, {"clip": 2})


def test_what_passes_once_is_streamed_past_what_is_needed_sooner():
    made = plan([Wanted("t5", 9, window=1)], [Resident("dit", 6, next_use=1)], room=8)
    assert (made.hold, made.stream, made.evict) == ({"dit": 6, "t5": 1}, {"t5": 8}, {})
    made = plan([Wanted("vae", 4, window=1, next_use=1)], [Resident("dit", 6, next_use=2)], room=8)
    assert (made.load, made.evict) == ({"vae": 4}, {"dit": 2})


def test_networks_that_run_together_are_held_together():
    made = plan([Wanted("unet", 5, passes=9), Wanted("controlnet", 3, passes=9)], [Resident("vae", 2)], room=8)
    assert made.hold == {"unet": 5, "controlnet": 3}


def test_no_room_for_the_window_is_said_with_the_numbers():
    with pytest.raises(NoRoom) as caught:
        plan([Wanted("unet", 12, window=5)], [], room=4)
    assert (caught.value.needed, caught.value.room) == (5, 4)


# Sequences of jobs, against every other choice there is.


class Use(NamedTuple):
    model: int
    passes: int


class Trial(NamedTuple):
    sizes: tuple[int, ...]
    room: int
    uses: tuple[Use, ...]


def trials(count: int, seed: int) -> Iterator[Trial]:
    """Jobs of a text encoder (one pass), a network (many), a decoder (one), over a few checkpoints."""
    rng = random.Random(seed)
    for _ in range(count):
        sizes = tuple(rng.randint(1, 4) for _ in range(4))
        room = rng.randint(max(sizes), sum(sizes))
        jobs = [rng.sample(range(4), k=rng.randint(1, 3)) for _ in range(5)]
        uses = tuple(Use(model, 20 if place == len(job) // 2 else 1) for job in jobs for place, model in enumerate(job))
        yield Trial(sizes, room, uses)


def moved(trial: Trial, horizon: int) -> int:
    """Bytes the plan moves when it sees `horizon` uses ahead."""
    present = dict.fromkeys(range(len(trial.sizes)), 0)
    last_use = dict.fromkeys(present, 0)
    total = 0
    for now, use in enumerate(trial.uses):
        ahead = trial.uses[now + 1 : now + 1 + horizon]
        next_use = {model: next((i for i, u in enumerate(ahead) if u.model == model), None) for model in present}
        wanted = Wanted(use.model, trial.sizes[use.model], present[use.model], use.passes, next_use=next_use[use.model])
        residents = [
            Resident(model, size, next_use[model], last_use[model])
            for model, size in present.items()
            if size and model != use.model
        ]
        made = plan([wanted], residents, trial.room)
        assert sum(made.hold.values()) <= trial.room
        total += made.moved({use.model: use.passes})
        present = {model: made.hold.get(model, 0) for model in present}
        last_use[use.model] = now + 1
    return total


def moved_by_recency(trial: Trial) -> int:
    """The same, giving up whole networks, the least recently used first, as is usual."""
    held: list[int] = []
    total = 0
    for model, _ in trial.uses:
        if model in held:
            held.remove(model)
        else:
            total += trial.sizes[model]
        held.append(model)
        while sum(trial.sizes[m] for m in held) > trial.room:
            held.pop(0)
    return total


def least(trial: Trial) -> int:
    """The fewest bytes by any choice of what to hold after each use, found by trying all."""
    sizes, room, uses = trial

    @cache
    def from_here(now: int, present: tuple[int, ...]) -> int:
        if now == len(uses):
            return 0
        model, passes = uses[now]
        brought = sizes[model] - present[model]
        kept = [range(sizes[m] + 1) if m == model else range(have + 1) for m, have in enumerate(present)]
        best = 10**9
        for after in product(*kept):
            if sum(after) <= room:
                # In several passes it has to be there whole, or what is not there moves in each of them.
                lacking = sizes[model] - after[model]
                cost = brought if passes == 1 or lacking == 0 else brought + (passes - 1) * lacking
                best = min(best, cost + from_here(now + 1, after))
        return best

    return from_here(0, (0,) * len(sizes))


def test_with_the_future_known_no_choice_moves_fewer_bytes():
    for trial in trials(50, seed=1):
        assert moved(trial, horizon=100) == least(trial), trial


def test_knowing_this_job_and_the_next_costs_at_most_a_twentieth_more_in_total():
    cases: Sequence[Trial] = list(trials(50, seed=2))
    assert sum(moved(trial, horizon=5) for trial in cases) <= 1.05 * sum(least(trial) for trial in cases)


@pytest.mark.parametrize("horizon", [0, 5, 100])
def test_it_is_never_worse_than_giving_up_the_least_recently_used(horizon: int):
    for trial in trials(300, seed=3):
        assert moved(trial, horizon) <= moved_by_recency(trial), trial
