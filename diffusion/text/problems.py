"""What is odd about a prompt, as data that a caller can show to the person who typed it."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "unclosed_parenthesis",
    "stray_parenthesis",
    "weight_not_finite",
    "embedding_missing",
    "embedding_unreadable",
    "embedding_width",
    "lora_in_text",
]


@dataclass(frozen=True)
class PromptProblem:
    """None of these stops anything; each says what was done instead of what may have been meant."""

    kind: Kind
    message: str
    position: int | None = None
    """Index of the character in the text as typed, where there is one."""
