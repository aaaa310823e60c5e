"""Whether a piece of code is prepared for a name that is not there: read from its bytecode where it stands."""

import dis
from types import CodeType, FrameType

_UNPREPARED = frozenset({"IMPORT_NAME", "IMPORT_FROM", "LOAD_ATTR", "LOAD_METHOD"})
"""Plain uses of a name; `hasattr` and `getattr` are calls."""


def caller_is_prepared(frame: FrameType | None) -> bool:
    """Whether the frame is inside a `try`, or asks with `hasattr` or `getattr`, at the instruction it has reached."""
    if frame is None:
        return True
    code, offset = frame.f_code, frame.f_lasti
    if _is_inside_try(code, offset):
        return True
    return not any(instruction.opname in _UNPREPARED for instruction in _at(code, offset))


def _at(code: CodeType, offset: int) -> list[dis.Instruction]:
    # The instruction reached, in its unspecialised form.
    return [instruction for instruction in dis.get_instructions(code) if instruction.offset == offset]


def _is_inside_try(code: CodeType, offset: int) -> bool:
    """From the exception table (Python 3.11: Objects/exception_handling_notes.txt): variable-length records of start,
    length, target and depth, in code units, six bits a byte, bit 7 marking a start and bit 6 a continuation. Handlers
    of `with` and of comprehensions are in it too; those re-raise, and so begin with other instructions."""
    numbers = _numbers(code.co_exceptiontable)
    for start, length, target, _ in zip(*[iter(numbers)] * 4, strict=False):
        if start * 2 <= offset < (start + length) * 2 and _catches(code, target * 2):
            return True
    return False


def _numbers(table: bytes) -> list[int]:
    numbers: list[int] = []
    value = 0
    for byte in table:
        value = (value << 6) | (byte & 63)
        if not byte & 64:
            numbers.append(value)
            value = 0
    return numbers


def _catches(code: CodeType, target: int) -> bool:
    """Whether the handler there is that of an `except`: it looks at the exception, or drops it."""
    following = [instruction.opname for instruction in dis.get_instructions(code) if instruction.offset >= target][:12]
    if "WITH_EXCEPT_START" in following:
        return False
    return "CHECK_EXC_MATCH" in following or "POP_EXCEPT" in following or "POP_TOP" in following[:3]


def module_asked_for(frame: FrameType | None) -> str | None:
    """The module that the `import` statement names which the frame is carrying out; None where it is at none."""
    if frame is None:
        return None
    found = [each for each in _at(frame.f_code, frame.f_lasti) if each.opname == "IMPORT_NAME"]
    return str(found[0].argval) if found else None
