"""From a request to a job on disk, or to a sentence that says why not."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from execution.intake import Checks, Intake
from execution.known_nodes import KnownNodes
from execution.problems import PromptRejected
from execution.queue import Queue
from execution.spec import Declaration, InputSpec, OutputSpec
from execution.workers.worker import CheckQuestion, NoAnswer, Verdict
from tests.jobs.conftest import Told
from tests.jobs.test_dispatch import Puppet

NODES = {
    "Make": Declaration("Make", "Make", "t", (InputSpec("n", "INT"),), (OutputSpec("INT", "INT"),), has_check=True),
    "Show": Declaration("Show", "Show", "t", (InputSpec("value", "INT"),), is_output=True),
}
MAKE = {"class_type": "Make", "inputs": {"n": "3"}}
PROMPT = {"1": MAKE, "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}}}


class Expert(Puppet):
    """A worker that knows nodes and judges them."""

    nodes: Mapping[str, Declaration] | None = NODES
    complaint: str | None = None
    asked: list[str]
    silent = False

    async def catalogue(self, deadline: float) -> Mapping[str, Declaration]:
        if self.nodes is None:
            raise NoAnswer("still starting")
        return self.nodes

    async def check(self, questions: Sequence[CheckQuestion], deadline: float) -> Sequence[Verdict]:
        self.asked = [question.node for question in questions]
        if self.silent:
            raise NoAnswer("busy")
        return [Verdict(question.node, self.complaint, ("n",)) for question in questions]


@pytest.fixture
def expert() -> Expert:
    return Expert()


@pytest.fixture
def known(expert: Expert, tmp_path: Path) -> KnownNodes:
    return KnownNodes([expert], tmp_path / "state" / "nodes.json")


@pytest.fixture
def intake(queue: Queue, known: KnownNodes, expert: Expert) -> Intake:
    return Intake(queue, known, [expert], Checks(fresh=0), new_id=lambda: "fresh")


async def refusal(intake: Intake, **body: Any) -> PromptRejected:
    with pytest.raises(PromptRejected) as rejected:
        await intake.submit({"prompt": PROMPT, **body})
    return rejected.value


async def test_a_good_prompt_is_on_disk_with_its_values_converted(intake: Intake, queue: Queue, told: Told):
    ticket = await intake.submit({"prompt": PROMPT, "client_id": "me", "extra_data": {"extra_pnginfo": {"x": 1}}})
    assert (ticket.prompt_id, ticket.number, dict(ticket.node_errors)) == ("fresh", 0, {})
    [job] = await queue.pending()
    assert job.graph["1"]["inputs"] == {"n": 3}
    assert job.targets == ("2",)
    assert job.extra == {"extra_pnginfo": {"x": 1}, "client_id": "me"}


async def test_the_client_names_its_job_and_places_it(intake: Intake):
    ticket = await intake.submit({"prompt": PROMPT, "prompt_id": "mine", "number": "-1.5"})
    assert (ticket.prompt_id, ticket.number) == ("mine", -1.5)
    assert (await intake.submit({"prompt": PROMPT})).number == 0
    assert (await intake.submit({"prompt": PROMPT, "prompt_id": "b", "front": True})).number == -1


async def test_the_counter_advances_also_for_a_prompt_that_is_refused(intake: Intake):
    await refusal(intake, prompt={})
    assert (await intake.submit({"prompt": PROMPT})).number == 1


async def test_an_empty_client_id_is_another_than_none(intake: Intake, queue: Queue):
    await intake.submit({"prompt": PROMPT, "prompt_id": "a", "client_id": ""})
    await intake.submit({"prompt": PROMPT, "prompt_id": "b", "client_id": None})
    assert [job.extra for job in await queue.pending()] == [{"client_id": ""}, {}]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("client_id", {"a": 1}, "invalid_client_id"),
        ("client_id", 5, "invalid_client_id"),
        ("client_id", "x" * 257, "invalid_client_id"),
        ("client_id", "a\nb", "invalid_client_id"),
        ("extra_data", {"client_id": []}, "invalid_client_id"),
        ("extra_data", [], "invalid_extra_data"),
        ("extra_data", "text", "invalid_extra_data"),
        ("number", math.nan, "invalid_number"),
        ("number", math.inf, "invalid_number"),
        ("number", "x", "invalid_number"),
        ("number", {}, "invalid_number"),
        ("prompt_id", {}, "invalid_prompt_id"),
        ("prompt_id", 7, "invalid_prompt_id"),
        ("prompt_id", "", "invalid_prompt_id"),
        ("prompt_id", "\ud800", "invalid_prompt_id"),
        ("prompt_id", "x" * 257, "invalid_prompt_id"),
        ("prompt", [], "invalid_prompt"),
        ("prompt", {}, "prompt_no_outputs"),
        ("partial_execution_targets", ["1"], "prompt_no_outputs"),
        ("partial_execution_targets", "2", "invalid_prompt"),
    ],
)
async def test_what_is_wrong_with_a_request_is_said_and_nothing_is_queued(
    intake: Intake, queue: Queue, field: str, value: object, code: str
):
    rejected = await refusal(intake, **{field: value})
    assert rejected.problem.type == code
    assert rejected.problem.message
    assert queue.remaining == 0


async def test_a_body_without_a_prompt_is_refused(intake: Intake):
    with pytest.raises(PromptRejected) as rejected:
        await intake.submit({"client_id": "me"})
    assert rejected.value.problem.type == "no_prompt"


async def test_an_id_that_is_in_use_is_refused_and_the_first_job_stays(intake: Intake, queue: Queue):
    await intake.submit({"prompt": PROMPT, "prompt_id": "mine"})
    rejected = await refusal(intake, prompt_id="mine")
    assert rejected.problem.type == "duplicate_prompt_id"
    assert rejected.problem.extra == {"prompt_id": "mine", "state": "queued"}
    assert queue.remaining == 1


async def test_validators_are_asked_and_heard(intake: Intake, expert: Expert):
    expert.complaint = "not today"
    rejected = await refusal(intake)
    assert expert.asked == ["1"]
    assert [problem.details for problem in rejected.node_errors["1"].errors] == ["n - not today"]


async def test_a_prompt_whose_validators_do_not_answer_is_accepted_without_them(intake: Intake, expert: Expert):
    expert.silent = True
    assert (await intake.submit({"prompt": PROMPT})).prompt_id == "fresh"


async def test_the_errors_of_outputs_that_will_not_run_come_with_the_ticket(intake: Intake, queue: Queue):
    ticket = await intake.submit({"prompt": {**PROMPT, "3": {"class_type": "Show", "inputs": {}}}})
    assert [problem.type for problem in ticket.node_errors["3"].errors] == ["required_input_missing"]
    [job] = await queue.pending()
    assert job.targets == ("2",)


async def test_a_large_prompt_is_checked_like_a_small_one(intake: Intake, queue: Queue):
    await intake.submit({"prompt": {**PROMPT, **{str(n): MAKE for n in range(3, 1000)}}})
    [job] = await queue.pending()
    assert job.graph["1"]["inputs"] == {"n": 3}
    assert len(job.graph) == 999


async def test_a_class_that_is_not_known_is_asked_for_before_it_is_refused(
    intake: Intake, known: KnownNodes, expert: Expert
):
    expert.nodes = {"Show": NODES["Show"]}
    await known.refresh()
    expert.nodes = NODES
    assert (await intake.submit({"prompt": PROMPT})).prompt_id == "fresh"
    expert.nodes = None
    rejected = await refusal(intake, prompt={"1": {"class_type": "Nope", "inputs": {}}})
    assert rejected.problem.type == "invalid_prompt"
    assert "Nope does not exist" in rejected.problem.message


async def test_many_prompts_with_unknown_classes_do_not_keep_the_worker_from_its_work(
    queue: Queue, known: KnownNodes, expert: Expert
):
    intake, asked = Intake(queue, known, [expert], Checks(fresh=1000)), Told()

    async def catalogue(deadline: float) -> Mapping[str, Declaration]:
        asked.events.append(asked)  # pyright: ignore[reportArgumentType]  # counts
        return NODES

    expert.catalogue = catalogue
    for _ in range(5):
        await refusal(intake, prompt={"1": {"class_type": "Nope", "inputs": {}}})
    assert len(asked.events) == 1


async def test_before_anything_is_known_of_the_nodes_a_prompt_is_refused_with_the_reason(
    intake: Intake, expert: Expert
):
    expert.nodes = None
    rejected = await refusal(intake)
    assert (rejected.problem.type, rejected.problem.details) == ("nodes_unknown", "still starting")


async def test_handlers_see_the_body_in_turn_and_a_broken_one_changes_nothing(
    queue: Queue, known: KnownNodes, expert: Expert
):
    def broken(body: Mapping[str, Any]) -> object:
        raise ValueError("no")

    def forgetful(body: Mapping[str, Any]) -> object:
        return None

    def names(body: Mapping[str, Any]) -> object:
        return {**body, "prompt_id": "named"}

    def places(body: Mapping[str, Any]) -> object:
        return {**body, "number": 7 if body["prompt_id"] == "named" else 0}

    intake = Intake(queue, known, [expert], handlers=[broken, names, forgetful])
    intake.add_handler(places)
    ticket = await intake.submit({"prompt": PROMPT})
    assert (ticket.prompt_id, ticket.number) == ("named", 7.0)


async def test_choices_and_files_are_looked_up_where_they_are(queue: Queue, known: KnownNodes, expert: Expert):
    combo = InputSpec("name", "COMBO", choices=("old",), choices_from="models")
    file = InputSpec("file", "COMBO", choices=(), names_file=True)
    expert.nodes = {"Pick": Declaration("Pick", "Pick", "t", (combo, file), is_output=True)}
    checks = Checks(listing=lambda name: [f"{name} now"], file_exists=lambda name: name == "here.png")
    intake = Intake(queue, known, [expert], checks)

    def pick(name: str, file: str) -> dict[str, Any]:
        return {"prompt": {"1": {"class_type": "Pick", "inputs": {"name": name, "file": file}}}}

    await intake.submit(pick("models now", "here.png"))
    for bad in (pick("old", "here.png"), pick("models now", "gone.png")):
        with pytest.raises(PromptRejected):
            await intake.submit(bad)


async def test_the_last_known_nodes_are_there_before_the_worker_is(known: KnownNodes, tmp_path: Path, expert: Expert):
    await known.refresh()
    later = KnownNodes([expert], tmp_path / "state" / "nodes.json")
    later.load()
    assert later.current() == NODES


async def test_a_kept_catalogue_that_is_damaged_is_none(known: KnownNodes, tmp_path: Path):
    path = tmp_path / "state" / "nodes.json"
    path.parent.mkdir()
    for damage in ("", "[1]", '{"A": 5}', "\xff"):
        path.write_text(damage, encoding="latin-1")
        known.load()
        assert known.current() == {}


async def test_an_unchanged_catalogue_is_the_same_object(known: KnownNodes, expert: Expert):
    first = await known.refresh()
    expert.nodes = dict(NODES)
    assert await known.refresh() is first
    assert known.current() is first


async def test_the_worker_is_asked_until_it_answers(expert: Expert, tmp_path: Path):
    known = KnownNodes([expert], tmp_path / "nodes.json", pause=0)
    asked = Told()

    async def catalogue(deadline: float) -> Mapping[str, Declaration]:
        asked.events.append(asked)  # pyright: ignore[reportArgumentType]  # counts
        if len(asked.events) < 3:
            raise NoAnswer("still starting")
        return NODES

    expert.catalogue = catalogue
    await known.start()
    assert known._following is not None  # pyright: ignore[reportPrivateUsage]  # its end is awaited
    await known._following  # pyright: ignore[reportPrivateUsage]
    assert known.current() == NODES
    await known.close()


async def test_without_a_worker_there_is_no_answer(tmp_path: Path):
    with pytest.raises(NoAnswer, match="there is no worker"):
        await KnownNodes([], tmp_path / "nodes.json").refresh()
