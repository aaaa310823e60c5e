"""Text becomes the ids that the published text encoders were trained on."""

import random
from typing import Any

import pytest
from transformers import CLIPTokenizer

from diffusion.text import vocabulary
from diffusion.text.tokenise import clean, clip_ids
from diffusion.text.vocabulary import VocabularyMissing, clip_vocabulary, find_vocabulary


@pytest.fixture(scope="module")
def oracle():
    merges: Any = clip_vocabulary().merges
    tokenizer = CLIPTokenizer(vocab=clip_vocabulary().ids, merges=merges)
    return lambda text: tokenizer(text)["input_ids"][1:-1]


def test_the_vocabulary_has_its_published_size_and_special_ids():
    ids = clip_vocabulary().ids
    assert len(ids) == 49408
    assert (ids["!"], ids["<|startoftext|>"], ids["<|endoftext|>"]) == (0, 49406, 49407)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a photo of a cat", [320, 1125, 539, 320, 2368]),
        ("", []),
        ("   \n\t ", []),
        ("<|endoftext|>", [49407]),
        ("a<|endoftext|>b", [320, 49407, 321]),
    ],
)
def test_known_ids(text: str, ids: list[int]):
    assert clip_ids(text) == ids


@pytest.mark.parametrize(
    "text",
    [
        "masterpiece, best quality, 1girl, solo, long hair, looking at viewer",
        "it's we'll they'd I'm you've don't",
        "Portrait by Alphonse Mucha -- ultra_detailed (8k:1.2) [x] {y} <z>",
        "café naïve ÄÖÜ ß e\u0301",
        "12345 3.14 ½ ²",
        "many   spaces\nand lines\tand tabs",
        "привет мир γειά",
        "emoji 🎨🐱 !!!???",
    ],
)
def test_ids_agree_with_transformers(oracle, text: str):
    assert clip_ids(text) == oracle(text)


def test_ids_agree_with_transformers_on_random_text(oracle):
    rng = random.Random(0)
    alphabet = "abcdefghij ABC,.'!?0129 éüñß-_():[]<>/\\\"#&   the of stdlr"
    texts = ["".join(rng.choices(alphabet, k=rng.randint(1, 60))) for _ in range(500)]
    assert [text for text in texts if clip_ids(text) != oracle(text)] == []


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("A\x00B\ufffdC\x07D", "abcd"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("日本語 text漢", "日 本 語 text 漢"),
        ("e\u0301", "é"),
        ("no\u00a0break\u3000space\u2003em", "no break space em"),
        ("ＡＢ １２", "ａｂ １２"),
        ("“curly” ’quotes’ &amp;", "“curly” ’quotes’ &amp;"),
        ("👩\u200d👩\u200d👧", "👩👩👧"),
        ("a\u2028b", "a b"),
    ],
)
def test_cleaning_is_that_of_an_installation_without_ftfy(text: str, cleaned: str):
    assert clean(text) == cleaned


def test_a_missing_vocabulary_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(vocabulary, "CARRIERS", ("no-such-package",))
    with pytest.raises(VocabularyMissing, match="pip install --no-deps refiners"):
        find_vocabulary()
