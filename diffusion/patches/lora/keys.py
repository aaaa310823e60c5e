"""The grammar of names in LoRA files: `<module><suffix>`, where the suffix says what a tensor is for."""

import re
from collections.abc import Iterable, Mapping

# Suffix -> role. Several generations of trainers name the same thing; the left one of `up` and `down` is applied last.
_SUFFIXES: Mapping[str, str] = {
    ".lora_up.weight": "up",
    ".lora_down.weight": "down",
    ".lora_mid.weight": "mid",
    ".lora_B.weight": "up",
    ".lora_A.weight": "down",
    ".lora_B.default.weight": "up",
    ".lora_A.default.weight": "down",
    ".lora.up.weight": "up",
    ".lora.down.weight": "down",
    "_lora.up.weight": "up",
    "_lora.down.weight": "down",
    ".lora_linear_layer.up.weight": "up",
    ".lora_linear_layer.down.weight": "down",
    ".lora_magnitude_vector": "dora_scale",
    ".lora_magnitude_vector.weight": "dora_scale",
    ".lora_magnitude_vector.default.weight": "dora_scale",
    ".diff": "diff",
    ".diff_b": "diff_b",
    ".w_norm": "diff",
    ".b_norm": "diff_b",
    ".set_weight": "set",
    **{f".{role}": role for role in ("alpha", "dora_scale", "oft_blocks")},
    **{f".{role}.weight": role for role in ("a1", "a2", "b1", "b2")},
    **{f".hada_{role}": f"hada_{role}" for role in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")},
    **{f".lokr_{role}": f"lokr_{role}" for role in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")},
}
ROLES = frozenset(_SUFFIXES.values())
_PATTERN = re.compile(rf"(.+?)({'|'.join(re.escape(s) for s in sorted(_SUFFIXES, key=len, reverse=True))})")


def split_key(key: str) -> tuple[str, str] | None:
    """(module, role) of a tensor's name; None for a name with no known suffix."""
    found = _PATTERN.fullmatch(key)
    return (found[1], _SUFFIXES[found[2]]) if found else None


def grouped(keys: Iterable[str]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Module -> role -> the file's name, and the names that follow no known grammar."""
    modules: dict[str, dict[str, str]] = {}
    unknown: list[str] = []
    for key in keys:
        parts = split_key(key)
        if parts is None:
            unknown.append(key)
        else:
            modules.setdefault(parts[0], {})[parts[1]] = key
    return modules, unknown
