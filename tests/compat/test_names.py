"""Every promised name is there, takes what packs give it, and is no placeholder.

`data/names.json` holds facts about the interface: names by the number of packs that use them, and their parameters.
"""

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from compat.placeholder import NotPromised, loading
from compat.world import World
from tests.compat.conftest import installed

DATA: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "names.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> World:
    return installed(tmp_path_factory.mktemp("installation"))


MADE_OTHERWISE = {
    "BasicTransformerBlock",
    "SpatialTransformer",
    "CrossAttention",
    "Downsample",
    "Upsample",
    "UNetModel",
    "ResBlock",
    "Flux",
    "DoubleStreamBlock",
    "SingleStreamBlock",
    "PromptServer",
}
"""Classes that are there to be compared with or asked; how they are made is ours."""


def find(module: str, name: str) -> Any:
    """As code that takes the name for granted does."""
    space: dict[str, Any] = {}
    exec(f"from {module} import {name.split('.')[0]} as found\nfound = found{name[len(name.split('.')[0]) :]}", space)
    return space["found"]


def is_placeholder(found: object) -> bool:
    return type(found).__name__ == "_Patient"


MANY = [(module, name, facts) for module, names in DATA["three_or_more"].items() for name, facts in names.items()]


@pytest.mark.parametrize(("module", "name", "facts"), MANY, ids=[f"{module}.{name}" for module, name, _ in MANY])
def test_what_three_packs_use_is_there(module: str, name: str, facts: dict[str, Any], names: World):
    found = find(module, name)
    assert not is_placeholder(found)
    wanted = facts.get("parameters") or facts.get("init")
    if wanted and callable(found) and name not in MADE_OTHERWISE:
        function = found.__init__ if isinstance(found, type) else found
        parameters = inspect.signature(function).parameters
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return
        assert [each for each in wanted if each.lstrip("*") not in parameters] == []


TWO = [(module, name) for module, names in DATA["two"].items() for name in names]


@pytest.mark.parametrize(("module", "name"), TWO, ids=[".".join(pair) for pair in TWO])
def test_what_two_packs_use_can_be_imported(module: str, name: str, names: World):
    with loading():
        find(module, name)


@pytest.mark.parametrize("name", DATA["patched"])
def test_what_packs_replace_is_an_attribute_that_can_be_replaced(name: str, names: World):
    place, _, last = name.rpartition(".")
    parts = place.split(".")
    for length in range(len(parts), 0, -1):
        try:
            holder: Any = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            holder = getattr(holder, part)
        break
    else:
        raise AssertionError(f"no module of {name}")
    before = getattr(holder, last, None)
    setattr(holder, last, before)
    assert getattr(holder, last) is before or callable(before)


@pytest.mark.parametrize("name", DATA["bases"])
def test_what_packs_inherit_from_is_a_class(name: str, names: World):
    module, _, last = name.rpartition(".")
    while True:
        try:
            base: Any = find(module, last)
            break
        except ImportError:
            module, _, inner = module.rpartition(".")
            last = f"{inner}.{last}"
    assert isinstance(base, type)
    with loading():
        assert issubclass(type("Mine", (base,), {}), base)


def test_a_name_that_nobody_promised_fails_where_it_is_used(names: World):
    code = (
        "import comfy.ldm.hidream.model\n"
        "from comfy.model_base import NobodyKnows\n"
        "class Mine(NobodyKnows): pass\n"
        "from comfy.text_encoders.of_tomorrow import Encoder\n"
        "class Other(Encoder): pass\n"
        "from comfy_extras import nodes_flux, nodes_of_tomorrow\n"
        "@nodes_of_tomorrow.register('x')\n"
        "def node(): pass\n"
        "import app.user_manager, utils.install_util\n"
        "import model_management\n"
        "assert model_management is __import__('comfy.model_management').model_management\n"
    )
    space: dict[str, Any] = {}
    with loading():
        exec(compile(code, "pack.py", "exec"), space)
    with pytest.raises(NotPromised, match="NobodyKnows is not offered"):
        space["NobodyKnows"]()
    with pytest.raises(NotPromised):
        space["Mine"](1)


@pytest.mark.parametrize(
    "code",
    [
        "try:\n from comfy.model_base import NobodyKnows\nexcept ImportError:\n absent = True",
        "try:\n import comfy.of_the_future\nexcept ImportError:\n absent = True",
        "import comfy.utils\nabsent = not hasattr(comfy.utils, 'of_the_future')",
        "import comfy.utils\nabsent = getattr(comfy.utils, 'of_the_future', None) is None",
        "def f():\n try:\n  from comfy import of_the_future\n except Exception:\n  return True\nabsent = f()",
    ],
)
def test_code_that_is_prepared_for_an_absence_is_told_of_it(code: str, names: World):
    space: dict[str, Any] = {}
    exec(compile(code, "pack.py", "exec"), space)
    assert space["absent"] is True
