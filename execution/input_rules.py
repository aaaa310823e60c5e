"""The rules of one declared input: which constants it takes, what they become, and the complaint when they do not fit.

Compiled once per class and question, because a prompt of 10,000 nodes asks them 10,000 times.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, cast

from execution.conversion import CONVERSIONS, fits, rounded
from execution.object_info import choices_of, input_config
from execution.problems import Problem
from execution.registry import Listing
from execution.spec import Declaration, InputSpec
from execution.suggestions import nearest

# Longer lists of choices are not repeated in a complaint.
_MOST_CHOICES_SHOWN = 20
# Suggestions cost time in proportion to the list; a prompt with thousands of wrong names gets them for the first few.
_MOST_SUGGESTIONS = 10

_COULD_NOT_CONVERT = "Failed to convert an input value to a {} value"


class RuleBook:
    """The rules of the classes a prompt uses. A listing is read once per book, so that an answer is of one piece.
    rounding: broken numbers become whole ones where those are wanted, as in graphs that nodes make by calculating."""

    def __init__(self, listing: Listing | None, file_exists: Callable[[str], bool] | None, rounding: bool = False):
        self._listing = listing
        self._rounding = rounding
        self._file_exists = file_exists
        self._rules: dict[int, tuple[Declaration, list[InputRule]]] = {}
        self._held: dict[str, tuple[str, ...]] = {}
        self._suggestions_left = _MOST_SUGGESTIONS

    def of(self, declaration: Declaration) -> "list[InputRule]":
        """The rules of a class: required inputs first, each group in declared order."""
        known = self._rules.get(id(declaration))
        if known is None:
            ordered = sorted(declaration.inputs, key=lambda spec: not spec.required)
            # The declaration is kept beside its rules so that its id() stays its own.
            known = self._rules[id(declaration)] = (declaration, [self.rule(spec) for spec in ordered])
        return known[1]

    def rule(self, spec: InputSpec) -> "InputRule":
        return InputRule(
            spec, self._held_listing if self._listing else None, self._file_exists, self.suggest, self._rounding
        )

    def _held_listing(self, name: str) -> Sequence[str]:
        assert self._listing is not None
        if name not in self._held:
            self._held[name] = tuple(self._listing(name))
        return self._held[name]

    def suggest(self, wrong: object, known: Iterable[Any]) -> list[str]:
        """The nearest known names, for the first few wrong ones of a prompt."""
        if self._suggestions_left <= 0:
            return []
        self._suggestions_left -= 1
        return nearest(wrong, known)


class InputRule:
    """What one input takes."""

    def __init__(
        self,
        spec: InputSpec,
        listing: Listing | None,
        file_exists: Callable[[str], bool] | None,
        suggest: Callable[[object, Iterable[Any]], list[str]],
        rounding: bool,
    ):
        self.spec = spec
        self._listing = listing
        self._file_exists = file_exists
        self._suggest = suggest
        self._type, self._converter = CONVERSIONS.get(spec.type, (None, None))
        if rounding and self._type is int:
            self._converter = rounded
        untested = spec.self_checked
        self._minimum = None if untested else spec.options.get("min")
        self._maximum = None if untested else spec.options.get("max")
        self._choices: tuple[Any, ...] | None = None
        self._members: frozenset[Any] | None = None
        if spec.type == "COMBO" and not untested and not spec.names_file and not _fetched_by_editor(spec):
            self._know_choices()
        self._is_plain_number = self._type in (int, float) and self._minimum is not None and self._maximum is not None
        self._is_free_text = self._type is str and self._minimum is None and self._maximum is None

    def _know_choices(self) -> None:
        if self.spec.choices is None and self._listing is None:
            return
        self._choices = tuple(choices_of(self.spec, self._listing))
        if all(isinstance(choice, str) for choice in self._choices):
            self._members = frozenset(self._choices)

    def accepts_as_is(self, value: Any) -> bool:
        """A quick yes for the common case. False decides nothing."""
        if self._is_plain_number:
            # NaN fails both comparisons, so it goes the long way.
            return type(value) is self._type and self._minimum <= value <= self._maximum
        if self._is_free_text:
            return type(value) is str
        return self._members is not None and type(value) is str and value in self._members

    def convert(self, value: Any) -> tuple[Any, Problem | None]:
        """The value as the input's type."""
        if self._converter is None:
            return value, None
        if type(value) is self._type and self._type in (str, bool):
            return value, None
        try:
            return self._converter(value), None
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            return value, self._not_convertible(value, str(error))

    def check(self, value: Any) -> tuple[Any, Problem | None]:
        """The converted value, and the first thing that is wrong with it."""
        value, problem = self.convert(value)
        if problem is None and not self.spec.self_checked:
            problem = self._range(value) or self._membership(value) or self._file(value)
        return value, problem

    def takes(self, received: str | tuple[Any, ...]) -> bool:
        """Whether an output of this type may be linked here."""
        choices: tuple[Any, ...] | None = None
        if isinstance(received, tuple) and self.spec.type == "COMBO":
            choices = tuple(choices_of(self.spec, self._listing))
        return fits(received, self.spec, choices)

    def config(self) -> list[Any]:
        return input_config(self.spec, self._listing)

    def malformed(self, value: list[Any]) -> Problem:
        """The complaint about a list that is no link."""
        details = self.spec.name
        if len(value) == 2:
            source, slot = cast(list[object], value)
            if not isinstance(source, str):
                details += f", the node id must be text, received {_shown(source)}"
            elif not isinstance(slot, int) or isinstance(slot, bool):
                details += f", the slot must be a whole number, received {_shown(slot)}"
        return Problem(
            "bad_linked_input",
            "Bad linked input, must be a length-2 list of [node_id, slot_index]",
            details,
            self._extra(value),
        )

    def _range(self, value: Any) -> Problem | None:
        try:
            if self._minimum is not None and value < self._minimum:
                return Problem(
                    "value_smaller_than_min",
                    f"Value {_shown(value)} smaller than min of {self._minimum}",
                    self.spec.name,
                    self._extra(value),
                )
            if self._maximum is not None and value > self._maximum:
                return Problem(
                    "value_bigger_than_max",
                    f"Value {_shown(value)} bigger than max of {self._maximum}",
                    self.spec.name,
                    self._extra(value),
                )
        except TypeError as error:
            return self._not_convertible(value, str(error))
        return None

    def _membership(self, value: Any) -> Problem | None:
        if self._choices is None:
            return None
        several = bool(self.spec.options.get("multiselect")) and isinstance(value, list)
        asked: list[Any] = cast(list[Any], value) if several else [value]
        wrong = [item for item in asked if not self._is_member(item)]
        if not wrong:
            return None
        many = len(self._choices) > _MOST_CHOICES_SHOWN
        shown = f"(list of length {len(self._choices)})" if many else str(list(self._choices))
        named = ", ".join(f"'{_shown(item)}'" for item in wrong[:_MOST_CHOICES_SHOWN])
        extra: dict[str, Any] = {
            "input_name": self.spec.name,
            "input_config": None if many else self.config(),
            "received_value": value,
        }
        suggestions = self._suggest(wrong[0], self._choices)
        if suggestions:
            extra["suggestions"] = suggestions
        return Problem("value_not_in_list", "Value not in list", f"{self.spec.name}: {named} not in {shown}", extra)

    def _is_member(self, value: Any) -> bool:
        if self._members is not None:
            return isinstance(value, Hashable) and value in self._members
        return value in (self._choices or ())

    def _file(self, value: Any) -> Problem | None:
        if not self.spec.names_file or self._file_exists is None:
            return None
        if isinstance(value, str) and self._file_exists(value):
            return None
        return Problem(
            "custom_validation_failed",
            "Custom validation failed for node",
            f"{self.spec.name} - Invalid {self.spec.name} file: {_shown(value)}",
            {"input_name": self.spec.name, "received_value": value},
        )

    def _not_convertible(self, value: Any, why: str) -> Problem:
        extra = self._extra(value)
        extra["exception_message"] = why
        return Problem(
            "invalid_input_type",
            _COULD_NOT_CONVERT.format(self.spec.type),
            f"{self.spec.name}, {_shown(value)}, {why}",
            extra,
        )

    def _extra(self, value: Any) -> dict[str, Any]:
        return {"input_name": self.spec.name, "input_config": self.config(), "received_value": value}


def _fetched_by_editor(spec: InputSpec) -> bool:
    """The editor asks another server for these choices; we do not know them."""
    return bool(spec.options.get("remote") or spec.options.get("remote_combo"))


def _shown(value: object) -> str:
    """A client's value inside a sentence, cut where it would drown it."""
    try:
        text = str(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits; data nested without end
        return type(value).__name__
    return text if len(text) <= 500 else f"{text[:500]}…"
