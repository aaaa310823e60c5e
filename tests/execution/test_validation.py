"""What is wrong with a prompt, in the words and codes clients know."""

import math
from collections.abc import Mapping
from typing import Any

import pytest

from execution.problems import NodeErrors, Problem, PromptRejected
from execution.prompt import parse
from execution.spec import Declaration, InputSpec, OutputSpec
from execution.validate import Validated, checks_needed, validate
from execution.workers.worker import CheckQuestion, Verdict
from tests.execution.kit import ApiGraph, api, declare

SIZE = {"default": 512, "min": 1, "max": 16384, "step": 1}
PETS = ["cat", "dog"]
MANY = [f"model-{i}.safetensors" for i in range(25)]

CATALOGUE: dict[str, Declaration] = {
    declaration.id: declaration
    for declaration in [
        declare("Source", {"value": ("INT", SIZE)}),
        declare("Float", {"value": ("FLOAT", {"min": 0.0, "max": 1.0})}, ("FLOAT",)),
        declare("Text", {"text": "STRING"}, ("STRING",)),
        declare("Flag", {"flag": "BOOLEAN"}, ("BOOLEAN",)),
        declare("Pet", {"pet": PETS}, (OutputSpec("pet", tuple(PETS)),)),
        declare("NewPet", {"pet": InputSpec("pet", "COMBO", choices=tuple(PETS), classic=False)}, ("COMBO",)),
        declare("Load", {"name": InputSpec("name", "COMBO", choices=("old",), choices_from="models")}, ("MODEL",)),
        declare("LoadImage", {"image": InputSpec("image", "COMBO", choices=(), names_file=True)}, ("IMAGE", "MASK")),
        declare("Add", {"a": "INT", "b": "INT"}),
        declare("Number", {"x": "INT,FLOAT"}, ("INT,FLOAT",)),
        declare("Anything", {"x": "*"}, ("*",)),
        declare("Blend", {"a": "IMAGE"}, ("IMAGE",), optional={"mask": "MASK"}),
        declare("Checked", {"x": InputSpec("x", "INT", True, {"max": 5}, self_checked=True)}, has_check=True),
        declare("Show", {"x": "INT"}, (), is_output=True),
        declare("ShowAny", {"x": "*"}, (), is_output=True),
        declare("Save", {"images": "IMAGE"}, (), is_output=True),
        declare("SavePet", {"pet": PETS}, (), is_output=True),
        declare("SaveChecked", {"x": "INT"}, (), is_output=True, has_check=True),
        declare("Run", {"x": "*"}, (), optional={"y": "INT"}, is_output=True),
    ]
}


def check(graph: ApiGraph, **options: Any) -> Validated:
    return validate(parse(graph), CATALOGUE, **options)


def refuse(graph: ApiGraph, **options: Any) -> PromptRejected:
    with pytest.raises(PromptRejected) as rejected:
        check(graph, **options)
    return rejected.value


def complaints(graph: ApiGraph, **options: Any) -> dict[str, list[Problem]]:
    return {id: list(errors.errors) for id, errors in refuse(graph, **options).node_errors.items()}


def complaint(node: Mapping[str, Any], **options: Any) -> Problem:
    """The only complaint about a node that is all right but for one input."""
    found = complaints({"n": dict(node), "out": api("ShowAny", x=["n", 0])}, **options)
    assert list(found) == ["n"]
    assert len(found["n"]) == 1
    return found["n"][0]


def value_after(class_type: str, **inputs: Any) -> Any:
    validated = check({"n": api(class_type, **inputs), "out": api("ShowAny", x=["n", 0])})
    return next(iter(validated.graph["n"]["inputs"].values()))


# The whole prompt


def test_a_good_prompt_is_handed_on_with_its_outputs():
    graph = {"1": api("Source", value=3), "2": api("Show", x=["1", 0])}
    validated = check(graph)
    assert validated.graph == graph
    assert validated.outputs == ("2",)
    assert validated.node_errors == {}


def test_an_unknown_class_is_refused_with_the_nearest_names():
    problem = refuse({"1": api("Sorce", title="Mine"), "2": api("Show", x=["1", 0])}).problem
    assert problem == Problem(
        "invalid_prompt",
        "Cannot execute because node Sorce does not exist.",
        "Node ID '#1'",
        {"node_id": "1", "class_type": "Sorce", "node_title": "Mine", "suggestions": ["Source"]},
    )


def test_an_unknown_class_is_refused_even_off_to_the_side():
    graph = {"1": api("Source", value=3), "2": api("Show", x=["1", 0]), "9": api("__class__")}
    assert refuse(graph).problem.type == "invalid_prompt"


@pytest.mark.parametrize("graph", [{}, {"1": api("Source", value=3)}])
def test_a_prompt_without_outputs_is_refused(graph: ApiGraph):
    assert refuse(graph).problem == Problem("prompt_no_outputs", "Prompt has no outputs", "")


def test_only_outputs_asked_for_are_run():
    graph = {"1": api("Source", value=3), "a": api("Show", x=["1", 0]), "b": api("Show", x=["1", 0])}
    assert check(graph).outputs == ("a", "b")
    assert check(graph, targets=["b"]).outputs == ("b",)
    for nothing in ([], ["1"], ["zzz"]):
        assert refuse(graph, targets=nothing).problem.type == "prompt_no_outputs"


def test_valid_outputs_run_and_the_faults_of_the_others_are_listed():
    graph = {"1": api("Source", value=3), "a": api("Show", x=["1", 0]), "b": api("Save")}
    validated = check(graph)
    assert validated.outputs == ("a",)
    assert validated.node_errors == {
        "b": NodeErrors(
            "Save",
            [Problem("required_input_missing", "Required input is missing", "images", {"input_name": "images"})],
            ["b"],
        )
    }


def test_when_every_output_fails_the_faults_of_the_outputs_themselves_are_summed_up():
    rejected = refuse({"1": api("Source", value=0), "a": api("Show", x=["1", 0]), "b": api("Save"), "c": api("Show")})
    assert rejected.problem == Problem(
        "prompt_outputs_failed_validation",
        "Prompt outputs failed validation",
        "Required input is missing: images\nRequired input is missing: x",
    )


def test_a_fault_upstream_names_the_outputs_it_keeps_from_running():
    graph = {
        "1": api("Source", value=0),
        "2": api("Add", a=["1", 0], b=1),
        "a": api("Show", x=["2", 0]),
        "b": api("Show", x=["1", 0]),
        "c": api("Show", x=5),
    }
    validated = check(graph)
    assert validated.outputs == ("c",)
    assert {id: list(errors.dependent_outputs) for id, errors in validated.node_errors.items()} == {"1": ["a", "b"]}


def test_a_node_no_output_needs_is_not_looked_at():
    assert check({"1": api("Source", value=-1), "2": api("Show", x=5)}).outputs == ("2",)


# One input


def test_a_missing_required_input_is_named():
    assert complaint(api("Source")) == Problem(
        "required_input_missing", "Required input is missing", "value", {"input_name": "value"}
    )


def test_a_missing_optional_input_is_fine():
    graph = {"1": api("LoadImage", image="x"), "2": api("Blend", a=["1", 0]), "3": api("Save", images=["2", 0])}
    assert check(graph).outputs == ("3",)


@pytest.mark.parametrize("bad", [["1", 0, 1], [], ["1"]])
def test_a_list_of_the_wrong_length_is_a_bad_link(bad: list[Any]):
    assert complaints({"2": api("Save", images=bad)})["2"] == [
        Problem(
            "bad_linked_input",
            "Bad linked input, must be a length-2 list of [node_id, slot_index]",
            "images",
            {"input_name": "images", "input_config": ["IMAGE", {}], "received_value": bad},
        )
    ]


@pytest.mark.parametrize(
    ("bad", "words"),
    [([1, 0], "the node id must be text"), (["1", 0.0], "the slot must be a whole number"), (["1", True], "slot")],
)
def test_a_link_with_a_wrong_id_or_slot_says_which(bad: list[Any], words: str):
    [problem] = complaints({"1": api("Source", value=3), "2": api("Show", x=bad)})["2"]
    assert problem.type == "bad_linked_input"
    assert words in problem.details


def test_a_link_to_no_node_names_it_and_the_nearest_ids():
    [problem] = complaints({"node-1": api("Source", value=3), "2": api("Show", x=["node-7", 0])})["2"]
    assert problem.type == "bad_linked_input"
    assert problem.details == "x, there is no node 'node-7'"
    assert problem.extra["suggestions"] == ["node-1"]
    assert problem.extra["received_value"] == ["node-7", 0]


def test_a_link_to_no_output_says_how_many_there_are():
    [problem] = complaints({"1": api("Source", value=3), "2": api("Show", x=["1", 1])})["2"]
    assert problem.details == "x, node '1' (Source) has one output, none with the number 1"


def test_a_negative_slot_counts_from_the_end():
    graph = {"1": api("LoadImage", image="x"), "2": api("Blend", a=["1", -2], mask=["1", -1])}
    assert check({**graph, "3": api("Save", images=["2", -1])}).outputs == ("3",)
    assert complaints({**graph, "3": api("Save", images=["2", -2])})["3"][0].type == "bad_linked_input"


def test_a_wrong_link_type_shows_both_types():
    assert complaints({"1": api("Source", value=3), "2": api("Save", images=["1", 0])}) == {
        "2": [
            Problem(
                "return_type_mismatch",
                "Return type mismatch between linked nodes",
                "images, received_type(INT) mismatch input_type(IMAGE)",
                {
                    "input_name": "images",
                    "input_config": ["IMAGE", {}],
                    "received_type": "INT",
                    "linked_node": ["1", 0],
                },
            )
        ]
    }


@pytest.mark.parametrize(
    ("source", "target", "fits"),
    [
        (api("Source", value=3), "Number", True),  # INT into INT,FLOAT
        (api("Number", x=3), "Number", True),
        (api("Number", x=3), "Add", True),  # INT,FLOAT into INT: they overlap
        (api("Text", text="x"), "Number", False),
        (api("Anything", x=3), "Blend", True),  # * fits everything, on either side
        (api("Text", text="x"), "Anything", True),
        (api("Pet", pet="cat"), "Pet", True),  # the same list of choices
        (api("Pet", pet="cat"), "NewPet", True),  # a list of choices into the newer form
        (api("NewPet", pet="cat"), "NewPet", True),
        (api("Text", text="cat"), "Pet", False),
        (api("Pet", pet="cat"), "Text", False),
        (api("Pet", pet="cat"), "Anything", True),
    ],
)
def test_types_fit_when_equal_overlapping_or_any(source: dict[str, Any], target: str, fits: bool):
    inputs: dict[str, Any] = {spec.name: ["1", 0] for spec in CATALOGUE[target].inputs if spec.required}
    graph = {"1": source, "2": api(target, **inputs), "3": api("ShowAny", x=["2", 0])}
    if fits:
        assert check(graph).outputs == ("3",)
    else:
        assert {problem.type for problem in complaints(graph)["2"]} == {"return_type_mismatch"}


@pytest.mark.parametrize(
    ("class_type", "given", "becomes"),
    [
        ("Source", 7.0, 7),
        ("Source", "7", 7),
        ("Float", 1, 1.0),
        ("Float", "0.5", 0.5),
        ("Text", 5, "5"),
        ("Text", None, "None"),
        ("Flag", 1, True),
        ("Flag", 0, False),
        ("Flag", "true", True),
        ("Flag", "false", False),  # Python's bool() would say True
    ],
)
def test_constants_become_the_type_of_their_input(class_type: str, given: Any, becomes: Any):
    name = CATALOGUE[class_type].inputs[0].name
    after = value_after(class_type, **{name: given})
    assert after == becomes
    assert type(after) is type(becomes)


def test_a_constant_that_does_not_convert_shows_the_reason():
    assert complaint(api("Source", value="abc")) == Problem(
        "invalid_input_type",
        "Failed to convert an input value to a INT value",
        "value, abc, invalid literal for int() with base 10: 'abc'",
        {
            "input_name": "value",
            "input_config": ["INT", SIZE],
            "received_value": "abc",
            "exception_message": "invalid literal for int() with base 10: 'abc'",
        },
    )


@pytest.mark.parametrize(
    ("class_type", "value"),
    [
        ("Source", None),
        ("Source", {"a": 1}),
        ("Source", {"__value__": [1]}),
        ("Source", "9" * 5000),
        ("Source", True),
        ("Source", 5.9),
        ("Source", " 7 "),
        ("Source", "7.0"),
        ("Source", "0x10"),
        ("Source", "1_0"),
        ("Source", "٧"),
        ("Float", True),
        ("Float", " 0.5"),
        ("Flag", 2),
        ("Flag", "yes"),
        ("Flag", None),
        ("Flag", {}),
        ("Source", math.inf),
        ("Float", math.nan),
        ("Float", "nan"),
        ("Float", "1e400"),
        ("Flag", "maybe"),
    ],
)
def test_what_cannot_be_the_type_is_refused(class_type: str, value: Any):
    name = CATALOGUE[class_type].inputs[0].name
    assert complaint(api(class_type, **{name: value})).type == "invalid_input_type"


def test_a_value_below_the_minimum_is_refused():
    assert complaint(api("Source", value=0)) == Problem(
        "value_smaller_than_min",
        "Value 0 smaller than min of 1",
        "value",
        {"input_name": "value", "input_config": ["INT", SIZE], "received_value": 0},
    )


def test_a_value_above_the_maximum_is_refused():
    assert complaint(api("Source", value=99999)) == Problem(
        "value_bigger_than_max",
        "Value 99999 bigger than max of 16384",
        "value",
        {"input_name": "value", "input_config": ["INT", SIZE], "received_value": 99999},
    )


def test_a_choice_that_is_none_is_refused_with_the_list_and_the_nearest():
    assert complaint(api("Pet", pet="Cat ")) == Problem(
        "value_not_in_list",
        "Value not in list",
        "pet: 'Cat ' not in ['cat', 'dog']",
        {"input_name": "pet", "input_config": [PETS, {}], "received_value": "Cat ", "suggestions": ["cat"]},
    )


def test_the_newer_form_of_a_choice_is_checked_too():
    problem = complaint(api("NewPet", pet="cow"))
    assert problem.details == "pet: 'cow' not in ['cat', 'dog']"
    assert problem.extra["input_config"] == ["COMBO", {"options": PETS}]


@pytest.mark.parametrize("value", [5, None, {"a": 1}, {"__value__": ["cat"]}])
def test_a_choice_of_a_wrong_type_is_refused(value: Any):
    assert complaint(api("Pet", pet=value)).type == "value_not_in_list"


def test_a_long_list_of_choices_is_counted_not_shown():
    problem = complaint(api("Load", name="model-3.safetensor"), listing=lambda _: MANY)
    assert problem.details == "name: 'model-3.safetensor' not in (list of length 25)"
    assert problem.extra["input_config"] is None
    assert problem.extra["suggestions"][0] == "model-3.safetensors"


def test_choices_from_a_listing_are_read_afresh_and_once():
    asked: list[str] = []

    def listing(name: str) -> list[str]:
        asked.append(name)
        return ["new"]

    graph = {str(i): api("Load", name="new") for i in range(3)}
    graph |= {f"o{i}": api("ShowAny", x=[str(i), 0]) for i in range(3)}
    assert len(check(graph, listing=listing).outputs) == 3
    assert asked == ["models"]


def test_a_file_that_is_not_there_is_refused_and_choices_do_not_matter():
    problem = complaint(api("LoadImage", image="a.png [output]"), file_exists=lambda _: False)
    assert problem.type == "custom_validation_failed"
    assert problem.message == "Custom validation failed for node"
    assert problem.details == "image - Invalid image file: a.png [output]"
    assert value_after("LoadImage", image="b.png") == "b.png"


def test_a_literal_list_stays_marked_as_one():
    graph = {"1": api("Anything", x={"__value__": ["1", 0]}), "2": api("ShowAny", x=["1", 0])}
    assert check(graph).graph["1"]["inputs"] == {"x": {"__value__": ["1", 0]}}


def test_titles_are_kept_and_a_clients_is_changed_is_not():
    graph = {"1": {**api("Source", "My node", value=3), "is_changed": ["x"]}, "2": api("Show", x=["1", 0])}
    node = check(graph).graph["1"]
    assert node["_meta"] == {"title": "My node"}
    assert "is_changed" not in node


def test_undeclared_constants_are_left_alone_and_undeclared_links_are_followed():
    graph = {"1": api("Source", value=0), "2": api("Run", x=1, extra=["1", 0], other="z")}
    assert list(complaints(graph)) == ["1"]
    assert complaints({"2": api("Run", x=1, extra=["77", 0])})["2"][0].type == "bad_linked_input"
    assert check({"2": api("Run", x=1, other=[1, 2, 3])}).outputs == ("2",)


def test_complaints_come_in_prompt_order_and_declared_order():
    graph = {
        "z": api("Save"),
        "b": api("Add", b="x", a="y"),
        "a": api("Show", x=["b", 0]),
    }
    rejected = refuse(graph)
    assert list(rejected.node_errors) == ["z", "b"]
    assert [problem.extra["input_name"] for problem in rejected.node_errors["b"].errors] == ["a", "b"]


# Circles


def test_a_circle_is_named():
    graph = {"1": api("Add", a=["2", 0], b=1), "2": api("Add", a=["1", 0], b=1), "3": api("Show", x=["1", 0])}
    rejected = refuse(graph)
    [(id, errors)] = rejected.node_errors.items()
    assert errors.errors == [
        Problem(
            "dependency_cycle",
            "Nodes depend on each other in a circle",
            "2 -> 1 -> 2",
            {"node_id": "2", "cycle_nodes": ["2", "1"]},
        )
    ]
    assert id == "2"
    assert errors.dependent_outputs == ["3"]


def test_a_node_linked_to_itself_is_a_circle():
    [problem] = complaints({"1": api("Add", a=["1", 0], b=1), "3": api("Show", x=["1", 0])})["1"]
    assert problem.details == "1 -> 1"


def test_a_circle_stops_only_the_outputs_behind_it():
    graph = {"1": api("Anything", x=["1", 0]), "2": api("ShowAny", x=["1", 0]), "3": api("Show", x=5)}
    assert check(graph).outputs == ("3",)


def test_a_circle_off_to_the_side_stops_nothing():
    graph = {"1": api("Anything", x=["1", 0]), "3": api("Show", x=5)}
    assert check(graph).outputs == ("3",)


def test_a_very_long_circle_is_reported_in_short():
    n = 10_000
    graph = {str(i): api("Anything", x=[str((i + 1) % n), 0]) for i in range(n)}
    graph["out"] = api("ShowAny", x=["0", 0])
    [problems] = complaints(graph).values()
    assert len(problems) == 1
    assert len(problems[0].details) < 1000
    assert len(problems[0].extra["cycle_nodes"]) == n


# Validators of nodes


def test_validators_are_asked_with_converted_constants_and_the_types_of_links():
    graph = {
        "1": api("Source", value=3),
        "2": api("Checked", x="4"),
        "3": api("SaveChecked", x=["1", 0]),
        "4": api("ShowAny", x=["2", 0]),
        "side": api("Checked", x=1),
    }
    assert checks_needed(parse(graph), CATALOGUE) == [
        CheckQuestion("3", "SaveChecked", {}, ["x"], {"x": "INT"}),
        CheckQuestion("2", "Checked", {"x": 4}, [], {}),
    ]


def test_nobody_is_asked_about_a_prompt_that_is_refused_anyway():
    assert checks_needed(parse({"1": api("Nope"), "2": api("SaveChecked", x=1)}), CATALOGUE) == []


@pytest.mark.parametrize(("complaint", "details"), [("", "x"), ("no ninety-nine", "x - no ninety-nine")])
def test_a_validators_complaint_is_told_for_each_input_it_looked_at(complaint: str, details: str):
    found = complaints({"1": api("SaveChecked", x=99)}, verdicts=[Verdict("1", complaint, ["x", "y"])])["1"]
    assert found[0] == Problem(
        "custom_validation_failed", "Custom validation failed for node", details, {"input_name": "x"}
    )
    assert [problem.extra["input_name"] for problem in found] == ["x", "y"]


def test_a_complaint_about_no_input_in_particular_counts_too():
    [problem] = complaints({"1": api("SaveChecked", x=99)}, verdicts=[Verdict("1", "wrong types")])["1"]
    assert problem.details == "wrong types"


def test_a_content_validator_takes_over_the_range():
    graph = {"1": api("Checked", x=99), "2": api("ShowAny", x=["1", 0])}
    assert check(graph, verdicts=[Verdict("1", None, ["x"])]).outputs == ("2",)


def test_a_validator_that_raises_is_reported_on_an_output():
    raised = ("KeyError", "'77'", ["  File …"])
    found = complaints({"1": api("SaveChecked", x=1)}, verdicts=[Verdict("1", None, (), raised)])["1"]
    assert found == [
        Problem(
            "exception_during_validation",
            "Exception when validating node",
            "'77'",
            {"exception_type": "KeyError", "traceback": ["  File …"]},
        )
    ]


def test_a_validator_that_raises_is_reported_on_an_inner_node():
    graph = {"1": api("Checked", x=1), "2": api("Show", x=["1", 0])}
    found = complaints(graph, verdicts=[Verdict("1", None, (), ("KeyError", "'77'", ["  File …"]))])["1"]
    assert found == [
        Problem(
            "exception_during_inner_validation",
            "Exception when validating inner node",
            "'77'",
            {
                "input_name": "x",
                "input_config": ["INT", {}],
                "exception_message": "'77'",
                "exception_type": "KeyError",
                "traceback": ["  File …"],
                "linked_node": ["1", 0],
            },
        )
    ]


# Size


def test_a_prompt_deeper_than_any_stack_is_validated():
    graph = {"0": api("Source", value=1)}
    for i in range(1, 49_999):
        graph[str(i)] = api("Add", a=[str(i - 1), 0], b=1)
    graph["out"] = api("Show", x=["49998", 0])
    assert check(graph).outputs == ("out",)


def test_thousands_of_faults_cost_no_more_than_their_number():
    graph: ApiGraph = {}
    for i in range(5_000):
        graph[f"a{i}"] = api("Load", name=f"wrong-{i}")
        graph[f"b{i}"] = api("ShowAny", x=[f"a{i}", 0])
        graph[f"c{i}"] = api("ShowAny", x=[f"nowhere-{i}", 0])
    rejected = refuse(graph, listing=lambda _: MANY * 200)
    assert len(rejected.node_errors) == 10_000
