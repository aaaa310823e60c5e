"""Networks on a card that holds them whole, in part, or not at all."""

import gc
import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from diffusion.families.sd15 import SD15
from diffusion.memory.conveyor import BUFFERS
from diffusion.memory.keeper import keep
from diffusion.memory.leaves import leaves_of
from diffusion.memory.pretend import PretendDevice
from diffusion.memory.residency import Policy, Residency
from diffusion.memory.work import Need, Place, Way, Work
from diffusion.ops.layers import keeping
from diffusion.ops.stored import keep as keep_packed
from diffusion.patches.weights import PatchDoesNotFit, forget_patched, patched
from diffusion.text.clip import build_clip, run_clip
from diffusion.text.tokens import empty_chunk
from tests.diffusion.memory.networks import SAMPLES, Sample, dit
from tests.diffusion.ops.test_stored_weights import packings
from tests.diffusion.tiny import text_encoder

PASSES = 3
PLENTY = 2**40


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module", params=list(SAMPLES))
def sample(request: pytest.FixtureRequest) -> Sample:
    return SAMPLES[request.param]()


def steps(sample: Sample, activations: int = 0, passes: int = PASSES) -> Work[list[Tensor]]:
    """A run of some steps."""
    network = sample.network
    job = Way(lambda place: [sample.step(place.of(network)) for _ in range(passes)], activations)
    return Work("sampling", [Need(network, passes=passes)], [job])


def largest(network: nn.Module) -> int:
    return max(leaf.bytes for leaf in leaves_of(network))


def activations_of(sample: Sample) -> int:
    """What a step takes beside the weights, as the card counts it."""
    peaks: list[int] = []
    for share, weights in ((1.0, sample.bytes), (0.0, BUFFERS * largest(sample.network))):
        device = PretendDevice(PLENTY)
        with device.computing() as watch:
            Residency(device, Policy(share=share)).run(steps(sample))
            peaks.append(watch.peak - weights)
        device.close()
    # Streamed it is a little more: on a CPU a convolution rearranges each weight that comes, beside the one it is.
    return max(peaks)


@pytest.fixture(scope="module")
def activations(sample: Sample) -> int:
    with torch.inference_mode():
        return activations_of(sample)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 1.0])
def test_streamed_and_resident_are_bit_equal_and_move_what_was_planned(sample: Sample, activations: int, share: float):
    expected = sample.step(sample.network)
    window = BUFFERS * largest(sample.network)
    capacity = int(share * sample.bytes) + activations + (window if share < 1 else 0)
    device = PretendDevice(capacity)
    keeper = Residency(device)
    keep(sample.network, keeper, "network")
    with device.computing() as watch:
        made = keeper.run(steps(sample, activations))
        assert watch.peak <= capacity
    assert all(torch.equal(one, expected) for one in made)

    held = keeper.report()["models"][0]["bytes"]["device"]
    room = share * sample.bytes if capacity - activations < sample.bytes else sample.bytes
    assert room - largest(sample.network) <= held <= room
    planned = held + PASSES * (sample.bytes - held)
    assert planned <= device.ledger.moved <= planned + window  # at the end it is ready for one more pass
    del made
    before = device.ledger.moved
    keeper.run(steps(sample, activations))
    again = PASSES * (sample.bytes - held)
    assert again <= device.ledger.moved - before <= again + (window if share < 1 else 0)
    del keeper
    device.close()


@pytest.mark.parametrize("link_share", [0.5, 1.0, 2.0])
def test_with_half_the_weights_streamed_a_step_takes_the_longer_of_computing_and_moving(link_share: float):
    """link_share: how long moving half the weights takes, in steps of computing."""
    sample = dit()
    flops = PretendDevice(PLENTY, flops=1.0)
    Residency(flops).run(steps(sample, passes=1))
    compute = flops.clock.now
    room = sample.bytes // 2 + BUFFERS * largest(sample.network)
    device = PretendDevice(PLENTY, link=sample.bytes / 2 / (link_share * compute), flops=1.0)
    keeper = Residency(device, Policy(reserve=PLENTY - room))
    keeper.run(steps(sample, passes=1))  # uploads come once, and the order of layers is learned
    before, moved = device.clock.now, device.ledger.moved
    keeper.run(steps(sample, passes=20))
    step, moving = (device.clock.now - before) / 20, (device.ledger.moved - moved) / 20 / device.link
    assert 0.9 * link_share * compute < moving < 1.3 * link_share * compute
    assert step <= 1.15 * max(compute, moving)


def test_a_text_encoder_of_transformers_is_streamed_layer_by_layer():
    spec = SD15.text_encoders[0]
    network = build_clip(text_encoder(spec, 1), spec)
    chunks = [empty_chunk(spec.pad_token)]

    def encode(place: Place) -> Tensor:
        return run_clip(place.of(network), chunks, spec, None, torch.float32).hidden

    whole = sum(leaf.bytes for leaf in leaves_of(network))
    device = PretendDevice(whole // 2 + BUFFERS * largest(network))
    keeper = Residency(device, Policy(share=0.0))
    streamed = keeper.run(Work("encoding", [Need(network)], [Way(encode)]))
    assert torch.equal(streamed, encode(Place(torch.device("cpu"), {})))
    assert keeper.run(Work("encoding", [Need(network.half())], [Way(encode)])).dtype == torch.float32
    device.close()


def test_a_compiled_network_computes_with_the_weights_on_the_card():
    sample = dit()
    expected = sample.step(sample.network)
    sample.network.compile(backend="eager")
    double = Scaled(frozenset({"final.weight", "final.bias"}), 2.0)
    job = Way(lambda place: sample.step(place.of(sample.network)))
    keeper = Residency(PretendDevice(PLENTY))
    assert torch.equal(keeper.run(Work("a step", [Need(sample.network, (double,))], [job])), 2 * expected)


# Patches


@dataclass(frozen=True)
class Scaled:
    """A patch: these tensors times a strength."""

    names: frozenset[str]
    strength: float

    def apply(self, name: str, weight: Tensor) -> Tensor:
        return weight * self.strength


FIRST = frozenset({"blocks.0.up.weight", "blocks.0.up.bias"})
SECOND = frozenset({"blocks.3.down.weight"})


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_changed_strength_moves_the_patched_layers_and_no_others(share: float):
    sample = dit()
    device = PretendDevice(PLENTY)
    whole = Residency(device, Policy(reserve=PLENTY - int(share * sample.bytes) - BUFFERS * largest(sample.network)))

    def run(*patches: Scaled) -> Tensor:
        job = Way(lambda place: sample.step(place.of(sample.network)))
        return whole.run(Work("a step", [Need(sample.network, patches, passes=2)], [job]))

    def expected(*patches: Scaled) -> Tensor:
        return sample.step(patched(sample.network, patches))

    steady = Scaled(SECOND, 1.5)
    assert torch.equal(run(), expected())
    assert torch.equal(run(Scaled(FIRST, 0.5), steady), expected(Scaled(FIRST, 0.5), steady))
    before = device.ledger.moved
    assert torch.equal(run(Scaled(FIRST, 0.7), steady), expected(Scaled(FIRST, 0.7), steady))
    if share == 1.0:
        layer = sample.network.get_submodule("blocks.0.up")
        assert device.ledger.moved - before == sum(tensor.nbytes for tensor in layer.parameters())
    assert torch.equal(run(), expected())
    forget_patched(sample.network)
    device.close()


@pytest.mark.parametrize("form", ["scaled by rows", "gguf"])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_packed_weights_travel_packed_and_take_patches_as_in_place(form: str, share: float):
    sample = dit(64)
    for module in list(sample.network.modules()):
        if isinstance(module, nn.Linear):
            layer = keeping(module)
            assert layer is not None
            if module.in_features % 32 == 0:  # GGUF's blocks
                keep_packed(layer, packings(tuple(module.weight.shape))[form])
    packed_bytes = sum(leaf.bytes for leaf in leaves_of(sample.network))
    assert packed_bytes < 0.5 * dit(64).bytes
    patches = (Scaled(FIRST, 0.5),)
    device = PretendDevice(PLENTY)
    job = Way(lambda place: sample.step(place.of(sample.network)))
    keeper = Residency(device, Policy(share=share))
    for wanted in (patches, (), patches):
        made = keeper.run(Work("a step", [Need(sample.network, wanted, passes=2)], [job]))
        assert torch.equal(made, sample.step(patched(sample.network, wanted)))
    assert device.used() - made.nbytes == (packed_bytes if share else 0)
    device.close()


def test_a_patch_for_a_tensor_that_is_not_there_is_refused():
    sample = dit()
    need = Need(sample.network, (Scaled(frozenset({"blocks.9.up.weight"}), 1.0),))
    with pytest.raises(PatchDoesNotFit, match=r"no tensor 'blocks\.9\.up\.weight'"):
        Residency(PretendDevice(PLENTY)).run(Work("a step", [need], [Way(lambda place: None)]))


# Several networks


def needing(sample: Sample, passes: int = 2) -> Work[Tensor]:
    job = Way(lambda place: sample.step(place.of(sample.network)), sample.bytes // 10)
    return Work("a step", [Need(sample.network, passes=passes)], [job])


def test_networks_that_both_fit_are_not_moved_again():
    first, second = dit(), dit()
    device = PretendDevice(3 * first.bytes)
    keeper = Residency(device)
    keeper.run(needing(first))
    keeper.run(needing(second))
    before = device.ledger.moved
    for _ in range(3):
        keeper.run(needing(first))
        keeper.run(needing(second))
    assert device.ledger.moved == before


def test_what_is_needed_next_stays_and_what_is_not_leaves_first():
    soon, late, now = dit(), dit(), dit()
    told: list[str] = []
    room = int(2.7 * now.bytes)
    future = [Need(soon.network), Need(late.network)]
    keeper = Residency(PretendDevice(room), tell=told.append, future=lambda: future)
    for number, sample in enumerate((soon, late, now)):
        keep(sample.network, keeper, ("soon", "late", "now")[number])
    keeper.run(needing(soon))
    keeper.run(needing(late))  # the more recently used one
    keeper.run(needing(now))
    there = {model["name"]: model["bytes"]["device"] for model in keeper.report()["models"]}
    assert there["soon"] == there["now"] == now.bytes > there["late"] > 0
    assert [sentence for sentence in told if "left the device" in sentence] == told
    assert told[0].endswith("of late left the device for a step")


def test_what_passes_once_goes_past_what_will_be_used_again():
    network, encoder = dit(), dit()
    device = PretendDevice(int(1.7 * network.bytes))
    keeper = Residency(device, future=lambda: [Need(network.network)])
    keeper.run(needing(network))
    before = device.ledger.moved
    keeper.run(needing(encoder, passes=1))
    keeper.run(needing(network))
    assert device.ledger.moved - before <= encoder.bytes + BUFFERS * largest(encoder.network)


def test_work_within_work_leaves_the_outer_one_where_it_is():
    outer, inner = dit(), dit()
    keeper = Residency(PretendDevice(int(1.5 * outer.bytes)))

    def job(place: Place) -> tuple[Tensor, Tensor]:
        return keeper.run(needing(inner)), outer.step(place.of(outer.network))

    both = keeper.run(Work("both", [Need(outer.network)], [Way(job)]))
    assert torch.equal(both[0], inner.step(inner.network))
    assert torch.equal(both[1], outer.step(outer.network))


def test_what_comes_next_is_brought_up_beside_the_running_work_where_there_is_room():
    now, following = dit(), dit()
    device = PretendDevice(int(2.2 * now.bytes))
    keeper = Residency(device, future=lambda: [Need(following.network)])

    def job(place: Place) -> int:
        keeper.look_ahead()
        return device.ledger.moved

    assert keeper.run(Work("now", [Need(now.network)], [Way(job, now.bytes // 20)])) == now.bytes + following.bytes
    keeper.run(needing(following))
    assert device.ledger.moved == now.bytes + following.bytes


def test_nothing_leaves_for_what_is_only_expected():
    now, following = dit(), dit()
    device = PretendDevice(int(1.5 * now.bytes))
    keeper = Residency(device, future=lambda: [Need(following.network)])
    keeper.run(Work("now", [Need(now.network)], [Way(lambda place: keeper.look_ahead(), now.bytes // 4)]))
    assert now.bytes < device.used() <= 1.25 * now.bytes


def test_unloading_gives_everything_back_and_a_dead_network_does_so_by_itself():
    first, second = dit(), dit()
    device = PretendDevice(PLENTY)
    keeper = Residency(device)
    keeper.run(needing(first))
    keeper.run(needing(second))
    del first
    gc.collect()
    assert device.used() == second.bytes
    keeper.unload()
    assert device.used() == 0


def test_without_keeping_nothing_stays():
    sample = dit()
    device = PretendDevice(PLENTY)
    Residency(device, Policy(keep=False)).run(needing(sample))
    assert device.used() == 0


def test_the_report_says_what_is_where_also_while_work_runs():
    sample = dit()
    keeper = Residency(PretendDevice(PLENTY))
    keep(sample.network, keeper, "DiT of a.safetensors")
    (before,) = keeper.report()["models"]
    assert (before["name"], before["last_use"]) == ("DiT of a.safetensors", None)
    assert before["bytes"] == {"host": sample.bytes, "device": 0}
    job = Way(lambda place: keeper.report()["models"][0]["held_by"])
    assert keeper.run(Work("a look", [Need(sample.network)], [job])) == "running job"
    (after,) = keeper.report()["models"]
    assert after["bytes"] == {"host": sample.bytes, "device": sample.bytes}
    assert after["last_use"] is not None
    assert after["held_by"] == "a result"
    (kept,) = keeper.report([sample.network])["models"]
    assert kept["held_by"] == "recently opened"


def test_five_hundred_jobs_over_four_models_never_exceed_the_capacity_and_leak_nothing():
    rng = random.Random(8)
    samples = [dit(width, depth) for width, depth in ((32, 2), (48, 2), (64, 1), (32, 4))]
    expected = [sample.step(sample.network) for sample in samples]
    capacity = int(0.5 * sum(sample.bytes for sample in samples))
    device = PretendDevice(capacity)
    keeper = Residency(device)
    for sample in samples:
        keep(sample.network, keeper, "DiT")
    patch = Scaled(FIRST, 2.0)
    made = None
    with device.computing() as watch:
        for _ in range(500):
            number = rng.randrange(4)
            sample, patches = samples[number], (patch,) if rng.random() < 0.1 else ()
            job = Way(lambda place, sample=sample: sample.step(place.of(sample.network)))
            made = keeper.run(Work("a step", [Need(sample.network, patches, rng.choice((1, 20)))], [job], "a step"))
            assert patches or torch.equal(made, expected[number])
            if rng.random() < 0.01:
                keeper.unload()
        assert watch.peak <= capacity
    del made
    held = sum(model["bytes"]["device"] for model in keeper.report()["models"])
    assert device.used() == held <= capacity
    keeper.unload()
    assert device.used() == 0
    device.close()


def test_a_network_that_was_expected_and_then_thrown_away_leaves_the_card():
    now, following = dit(), dit()
    device = PretendDevice(int(1.7 * now.bytes))
    future = [Need(following.network)]
    keeper = Residency(device, future=lambda: future)
    keeper.run(needing(following))
    keeper.run(needing(now))  # for want of room it was asked what comes next
    future.clear()
    del following
    gc.collect()
    assert device.used() == now.bytes
