"""What users decide about memory, and where networks come to compute."""

import pickle
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from diffusion.memory.in_place import InPlace
from diffusion.memory.keeper import keep, keeper_of
from diffusion.memory.pretend import PretendDevice
from diffusion.memory.residency import Residency
from diffusion.memory.work import Need, Way, Work
from execution.events import Event, NodeRef, Text
from execution.node_run import NodeRun, Voice, executing
from execution.size import weigh
from launch.arguments import parse_serve
from launch.idle import WhenIdle
from launch.memory import keepers, tell, unloading
from launch.settings import Memory

GB = 2**30


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], Memory()),
        (["--highvram"], Memory()),
        (["--normalvram"], Memory()),
        (["--gpu-only"], Memory(reserve=0)),
        (["--lowvram"], Memory(share=0.5)),
        (["--novram"], Memory(share=0.0)),
        (["--reserve-vram", "1.5", "--vram-limit", "8"], Memory(reserve=3 * GB // 2, limit=8 * GB)),
        (["--reserve-vram", "0"], Memory(reserve=0)),
        (["--disable-smart-memory", "--idle-unload", "90"], Memory(keep=False, idle=90.0)),
    ],
)
def test_flags(arguments: list[str], expected: Memory, tmp_path: Path):
    assert parse_serve(arguments, tmp_path).memory == expected


@pytest.mark.parametrize("arguments", [["--lowvram", "--novram"], ["--vram-limit", "0"], ["--idle-unload", "-1"]])
def test_what_makes_no_sense_is_refused(arguments: list[str], tmp_path: Path):
    with pytest.raises(SystemExit):
        parse_serve(arguments, tmp_path)


def used_by(arguments: list[str], tmp_path: Path, capacity: int = 4 * GB) -> int:
    """Bytes that stay on the card after a network of a megabyte has run."""
    device = PretendDevice(capacity)
    found = keepers(parse_serve([*arguments, "--base-directory", str(tmp_path)], tmp_path), device)
    network = nn.Sequential(*(nn.Linear(256, 256, bias=False) for _ in range(4)))
    keep(network, found.networks, "network")
    job = Way(lambda place: place.of(network)(torch.zeros(1, 256)), 0)
    with torch.inference_mode():
        found.networks.run(Work("a step", [Need(network, passes=2)], [job]))
        return device.used()


def test_flags_decide_what_stays_on_the_card(tmp_path: Path):
    assert used_by([], tmp_path) == 2**20
    assert used_by(["--novram"], tmp_path) == 0
    assert used_by(["--disable-smart-memory"], tmp_path) == 0
    room = 3 * 2**18 + 2**17  # a window for streaming and half a layer
    assert used_by(["--gpu-only"], tmp_path, 2**20 + 2**17) == 2**20
    assert used_by(["--reserve-vram", str((4 * GB - room) / GB)], tmp_path) == 0


def test_without_a_card_networks_stay_where_they_are(tmp_path: Path):
    found = keepers(parse_serve([], tmp_path), None)
    assert isinstance(found.networks, InPlace)
    assert found.autoencoders is None


def test_autoencoders_run_on_the_processor_if_asked_for(tmp_path: Path):
    found = keepers(parse_serve(["--cpu-vae"], tmp_path), PretendDevice(GB))
    assert isinstance(found.networks, Residency)
    assert isinstance(found.autoencoders, InPlace)


def test_what_was_done_for_want_of_memory_is_noted_once_with_the_running_job_and_shown_at_its_node():
    events: list[Event] = []
    voice = Voice(events.append)
    run = NodeRun("p", NodeRef("1", "1", None, "1"), {}, {}, voice, lambda: False)
    token = executing.set(run)
    try:
        tell("VAE decode in 4 tiles: 6.1 GB needed, 3.9 GB free")
        tell("VAE decode in 4 tiles: 6.1 GB needed, 3.9 GB free")
    finally:
        executing.reset(token)
    tell("nobody runs")
    assert voice.notes == ["VAE decode in 4 tiles: 6.1 GB needed, 3.9 GB free"]
    assert events == [Text("p", run.node, voice.notes[0])]


def test_unloading_empties_the_card_and_the_store(tmp_path: Path):
    device = PretendDevice(4 * GB)
    found = keepers(parse_serve(["--base-directory", str(tmp_path)], tmp_path), device)
    network = nn.Linear(256, 256)
    found.networks.run(Work("a step", [Need(network)], [Way(lambda place: None)]))
    forgotten: list[bool] = []
    assert device.used() > 0
    unloading(found, lambda: forgotten.append(True))()
    assert device.used() == 0
    assert forgotten == [True]


class HandTimer:
    """A timer that runs out when told to."""

    def __init__(self, seconds: float, call: Callable[[], None]):
        self.seconds, self.call, self.state, self.daemon = seconds, call, "made", False

    def start(self) -> None:
        self.state = "started"

    def cancel(self) -> None:
        self.state = "cancelled"


def test_memory_is_given_back_after_a_while_without_a_job():
    timers: list[HandTimer] = []

    def timer(seconds: float, call: Callable[[], None]) -> Any:
        timers.append(HandTimer(seconds, call))
        return timers[-1]

    unloaded: list[bool] = []
    idle = WhenIdle(90, lambda: unloaded.append(True), timer)
    with idle.job():
        assert timers == []
    assert [(each.seconds, each.state) for each in timers] == [(90, "started")]
    with idle.job():
        assert timers[0].state == "cancelled"
    timers[1].call()
    assert unloaded == [True]
    with WhenIdle(None, lambda: None, timer).job():
        pass
    assert len(timers) == 2


def test_who_keeps_a_network_is_no_part_of_it(tmp_path: Path):
    """Its keeper knows every other network: results that hold one would seem to hold all, and copies would take them
    along."""
    keeper = keepers(parse_serve([], tmp_path), PretendDevice(GB)).networks
    networks = [nn.Linear(64, 64) for _ in range(4)]
    alone = weigh(networks[0]).total
    for network in networks:
        keep(network, keeper, "network")
        keeper.run(Work("a step", [Need(network)], [Way(lambda place: None)]))
    assert weigh(networks[0]).total < alone + 1000
    assert isinstance(keeper_of(deepcopy(networks[0])), InPlace)
    assert isinstance(keeper_of(pickle.loads(pickle.dumps(networks[0]))), InPlace)
    assert keeper_of(networks[0]) is keeper
