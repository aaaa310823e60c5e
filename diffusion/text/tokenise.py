"""CLIP's tokeniser: text to ids, as the published text encoders were trained to read it.

Cleaning follows the tokeniser of transformers in an installation without `ftfy`, because that is what made the pictures
people compare with; OpenAI's own cleaning gives other ids for some scripts, quotes and entities.
"""

import unicodedata
from functools import cache

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers

from diffusion.text.vocabulary import END, START, clip_vocabulary

START_ID, END_ID = 49406, 49407

# Words, contractions, single digits, runs of anything else.
_PIECES = r"(?i)<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"

# Ranges of CJK ideographs; each becomes a word of its own.
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


@cache
def _tokenizer() -> Tokenizer:
    vocabulary = clip_vocabulary()
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocabulary.ids,
            merges=vocabulary.merges,
            unk_token=END,
            end_of_word_suffix="</w>",
            continuing_subword_prefix="",
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.add_special_tokens(  # pyright: ignore[reportUnknownMemberType]  # its stub says `list` of anything
        [AddedToken(START, special=True), AddedToken(END, special=True)]
    )
    return tokenizer


def clip_ids(text: str) -> list[int]:
    """The ids of a text, without start and end. The words `<|startoftext|>` and `<|endoftext|>` become those tokens."""
    return _tokenizer().encode(clean(text), add_special_tokens=False).ids


def clean(text: str) -> str:
    """Control characters dropped, ideographs set apart, composed (NFC), single spaces, lower case."""
    characters: list[str] = []
    for character in text:
        if character in "\t\n\r" or unicodedata.category(character) == "Zs":
            characters.append(" ")
        elif character == "\ufffd" or unicodedata.category(character).startswith("C"):
            continue
        elif _is_ideograph(ord(character)):
            characters.append(f" {character} ")
        else:
            characters.append(character)
    return " ".join(word.lower() for word in unicodedata.normalize("NFC", "".join(characters)).split())


def _is_ideograph(code: int) -> bool:
    return code >= 0x3400 and any(first <= code <= last for first, last in _IDEOGRAPHS)
