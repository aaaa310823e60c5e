"""A small sentencepiece model, trained here on a few words."""

import io
import random
from functools import cache
from typing import Any


@cache
def model() -> bytes:
    """Ids as T5's: 0 pads, 1 ends a text, 2 is unknown."""
    import sentencepiece

    words = "cat dog mat star picture painting red blue green light dark old new city".split()  # noqa: SIM905
    chance = random.Random(0)
    lines = [" ".join(chance.choices(words, k=8)) for _ in range(200)]
    out = io.BytesIO()
    trainer: Any = sentencepiece.SentencePieceTrainer
    trainer.train(
        sentence_iterator=iter(lines),
        model_writer=out,
        vocab_size=90,
        hard_vocab_limit=False,
        model_type="unigram",
        character_coverage=1.0,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
        num_threads=1,
    )
    return out.getvalue()
