"""Whether an output fits an input."""

from execution.conversion import fits
from execution.spec import InputSpec


def validate_node_input(received_type, input_type, strict=False):
    """Types as text, comma unions and "*". strict: every received type must be taken."""
    if not isinstance(received_type, str) or not isinstance(input_type, str):
        return received_type == input_type
    if not (received_type != input_type):  # noqa: SIM202  # what such types override
        return True
    if strict and "*" not in (received_type, input_type):
        taken = {part.strip() for part in input_type.split(",")}
        return {part.strip() for part in received_type.split(",")} <= taken
    return fits(str(received_type), InputSpec("", str(input_type)), None)
