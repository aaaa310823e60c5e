"""A signature is a schema, and a wrong one is told at import."""

from collections.abc import Mapping
from typing import Annotated, Any

import pytest
import torch

from execution.context import Run
from execution.spec import NOTHING, Blocked, InputSpec, NodeResult, OutputSpec
from nodes.declare import Node, node
from nodes.markers import LAZY, OPTIONAL, SEED, Choice, Each, Given, Number, Options, Out, Text, Ui
from nodes.signature import DeclarationError
from nodes.wire import Image, Mask


@node("Mix", category="test", title="Mix it")
def mix(
    *,
    image: Image,
    amount: Annotated[float, Number(0, 1, step=0.1)] = 0.5,
    seed: Annotated[int, SEED] = 0,
    mode: Annotated[str, Choice(["a", "b"])] = "b",
    name: Annotated[str, Choice.of("loras")],
    text: Annotated[str, Text(multiline=True, dynamic=True), Options({"placeholder": "x"})],
    mask: Mask | None = None,
    count: Annotated[int, Number(0), OPTIONAL] = 3,
    run: Given[Run],
) -> tuple[Annotated[Image, Out("mixed")], int]:
    """Mix things
    together.

    amount: how much.
    """
    return image * amount, count


def test_inputs_come_from_the_parameters_in_their_order():
    assert mix.spec.declaration.inputs == (
        InputSpec("image", "IMAGE"),
        InputSpec("amount", "FLOAT", options={"default": 0.5, "min": 0, "max": 1, "step": 0.1, "tooltip": "how much."}),
        InputSpec("seed", "INT", options={"default": 0, "min": 0, "max": 2**64 - 1, "control_after_generate": True}),
        InputSpec("mode", "COMBO", options={"default": "b"}, choices=("a", "b")),
        InputSpec("name", "COMBO", choices=(), choices_from="loras"),
        InputSpec("text", "STRING", options={"multiline": True, "dynamicPrompts": True, "placeholder": "x"}),
        InputSpec("mask", "MASK", required=False),
        InputSpec("count", "INT", required=False, options={"default": 3, "min": 0}),
    )
    assert mix.spec.declaration.inputs[0].options is NOTHING


def test_outputs_come_from_the_return_annotation():
    assert mix.spec.declaration.outputs == (OutputSpec("mixed", "IMAGE"), OutputSpec("INT", "INT"))


def test_capabilities_are_no_inputs():
    assert mix.spec.given == {"run": Run}


def test_the_docstring_becomes_the_description():
    assert mix.spec.declaration.description == "Mix things together."
    assert mix.spec.declaration.title == "Mix it"


def test_a_node_can_still_be_called_as_a_function(run: Any):
    image = torch.ones(1, 2, 2, 3)
    mixed, count = mix(image=image, name="l", text="", run=run)
    assert torch.equal(mixed, image / 2)
    assert count == 3


def test_defaults_stand_in_for_what_is_not_sent(run: Any):
    result = mix.spec.run(image=torch.ones(1, 2, 2, 3), name="l", text="", run=run)
    assert isinstance(result, NodeResult)
    assert result.values[1] == 3


def test_a_missing_input_is_named(run: Any):
    with pytest.raises(ValueError, match=r'Mix: "image" \(IMAGE\) is missing'):
        mix.spec.run(name="l", text="", run=run)


def test_inputs_that_were_not_declared_are_left_out(run: Any):
    assert isinstance(mix.spec.run(image=torch.ones(1, 2, 2, 3), name="l", text="", run=run, stray=1), NodeResult)


def test_modern_nodes_show_every_option_and_may_have_no_title():
    @node("New", category="test", modern=True)
    def new(*, image: Image, mode: Annotated[str, Choice(["a"])]) -> Image:
        """Do."""
        return image

    image, mode = new.spec.declaration.inputs
    assert new.spec.declaration.title is None
    assert image.options is not NOTHING
    assert (mode.classic, mode.options) == (False, {"multiselect": False})


def test_a_list_parameter_gets_all_values_and_the_others_one():
    @node("Join", category="test")
    def join(*, words: list[str], glue: str = "-", last: str = "!") -> list[str]:
        """Join."""
        return [glue.join(words), last]

    assert join.spec.declaration.takes_lists
    assert join.spec.declaration.outputs[0].is_list
    assert join.spec.run(words=["a", "b"], glue=["+"]) == NodeResult((["a+b", "!"],))


def test_inputs_whose_names_are_no_identifiers_are_gathered():
    @node("Shares", category="test")
    def shares(*, scale: int, parts: Annotated[Mapping[str, float], Each(["in.0.", "out."], 1.0)]) -> float:
        """Add."""
        return scale * parts["in.0."] + parts["out."]

    assert [(i.name, i.type, i.required, i.options) for i in shares.spec.declaration.inputs[1:]] == [
        ("in.0.", "FLOAT", True, {"default": 1.0}),
        ("out.", "FLOAT", True, {"default": 1.0}),
    ]
    assert shares.spec.run(**{"scale": 10, "in.0.": 0.5}) == NodeResult((6.0,))
    with pytest.raises(ValueError, match=r'"in\.0\.": expected a number'):
        shares.spec.run(**{"scale": 10, "in.0.": "x"})


def test_only_a_mapping_gathers():
    def wrong(*, parts: Annotated[float, Each(["a."], 1.0)]) -> float:
        """Fail."""
        return parts

    with pytest.raises(DeclarationError, match="Each belongs to a Mapping"):
        node("Wrong", category="test")(wrong)


def test_hooks_get_the_inputs_they_ask_for_and_none_for_links():
    @node("Hooked", category="test")
    def hooked(*, a: Annotated[int, LAZY] = 1, b: Annotated[int, Number(0, 3)] = 2) -> int:
        """Add."""
        return a + b

    @hooked.fingerprint
    def _(*, b: int) -> int:
        return b * 10

    @hooked.check
    def _(*, b: int | None) -> bool | str:
        return b is None or b < 3 or "b is too large"

    @hooked.needs
    def _(*, a: int | None, b: int) -> list[str]:
        return ["a"] if a is None and b else []

    spec = hooked.spec
    assert spec.fingerprint is not None
    assert spec.check is not None
    assert spec.needs is not None
    assert spec.fingerprint(a=None, b=2) == 20
    assert spec.check(b=3) == "b is too large"
    assert spec.check(a=1) is True
    assert spec.needs(a=None, b=1) == ["a"]
    told = spec.declaration
    assert (told.has_fingerprint, told.has_check, told.has_needs) == (True, True, True)
    assert [each.self_checked for each in told.inputs] == [False, True]
    assert told.inputs[0].lazy


def test_a_hook_cannot_ask_for_what_the_node_does_not_have():
    with pytest.raises(DeclarationError, match=r"asks for \['c'\]"):

        @mix.fingerprint
        def _(*, c: int) -> int:
            return c


def test_blocking_passes_through():
    @node("Block", category="test")
    def block(*, value: int) -> int:
        """Stop."""
        return Blocked("no")  # pyright: ignore[reportReturnType]  # the mistake under test

    assert block.spec.run(value=1) == Blocked("no")


def test_a_result_that_breaks_its_promise_is_told():
    @node("Wrong", category="test")
    def wrong(*, value: int) -> tuple[int, int]:
        """Lie."""
        return value  # pyright: ignore[reportReturnType]  # the mistake under test

    with pytest.raises(TypeError, match=r"promises a tuple of 2 values .* returned int 1"):
        wrong.spec.run(value=1)


def positional(a: int) -> int:
    return a


def unannotated(*, a) -> int:
    return a


def untold(*, a: int):
    return a


def out_of_range(*, a: Annotated[int, Number(1, 3)] = 5) -> int:
    return a


def wrong_default(*, a: int = "x") -> int:  # pyright: ignore[reportArgumentType]  # the mistake under test
    return a


def not_a_choice(*, a: Annotated[str, Choice(["x"])] = "y") -> str:
    return a


def no_socket(*, a: dict[str, int]) -> int:
    return len(a)


def number_of_text(*, a: Annotated[str, Number(0, 1)]) -> str:
    return a


def text_of_number(*, a: Annotated[int, Text()]) -> int:
    return a


def optional_without_default(*, a: Mask | None) -> int:
    return 0


def two_types(*, a: int | str) -> int:
    return 0


def strange_output(*, a: int) -> bytes:
    return b""


async def asynchronous(*, a: int) -> int:
    return a


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (positional, '"a" must be keyword-only'),
        (unannotated, '"a" has no annotation'),
        (untold, "expected a return annotation"),
        (out_of_range, "expected 1 ≤ default ≤ 3, got 5"),
        (wrong_default, "expected a default of type int, got 'x'"),
        (not_a_choice, r"the default 'y' is not among \['x'\]"),
        (no_socket, "expected int, float, str, bool, or a type with a Socket"),
        (number_of_text, "a Number belongs to an int or a float, got str"),
        (text_of_number, "a Text belongs to a str, got int"),
        (optional_without_default, "an optional input needs a default"),
        (two_types, r"expected one type, or one `\| None`"),
        (strange_output, "expected an output type with a Socket"),
        (asynchronous, "expected a plain function"),
    ],
)
def test_a_mistake_in_a_declaration_says_what_was_expected(function: Any, message: str):
    with pytest.raises(DeclarationError, match=message):
        node("Broken", category="test")(function)


def test_a_node_needs_an_id_and_a_category():
    with pytest.raises(DeclarationError, match="needs an id and a category"):
        node("", category="test")(no_socket)


def test_output_nodes_show_and_return_nothing():
    @node("Show", category="test", output=True)
    def show(*, value: int) -> Ui:
        """Show."""
        return Ui({"text": (str(value),)})

    assert isinstance(show, Node)
    assert show.spec.declaration.outputs == ()
    assert show.spec.run(value=7) == NodeResult(ui={"text": ("7",)})
