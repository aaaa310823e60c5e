"""Text encoders and tokenisers as packs know them: one of CLIP by itself, and models around several.

The networks, and what they make of a prompt, are the library's. A pack may cut a prompt into tokens, change their
weights or vectors, and have them encoded by one encoder or all.
"""

import contextlib

import torch

from compat.world import world
from diffusion.handles import TextEncoders
from diffusion.text.embeddings import EmbeddingFolders
from diffusion.text.encode import encode, prompt_tokens
from diffusion.text.tokens import Token, Tokens, empty_chunk

ESCAPED = {"\\)": "\0\1", "\\(": "\0\2"}


def escape_important(text):
    """Puts escaped parentheses out of the way."""
    for written, hidden in ESCAPED.items():
        text = text.replace(written, hidden)
    return text


def unescape_important(text):
    """And back, without their backslashes."""
    for written, hidden in ESCAPED.items():
        text = text.replace(hidden, written[1])
    return text


def parse_parentheses(string):
    """The text cut at its outermost parentheses, which stay on."""
    parts, depth, current = [], 0, ""
    for character in string:
        if character == "(":
            if depth == 0 and current:
                parts.append(current)
                current = ""
            depth += 1
            current += character
        elif character == ")":
            depth -= 1
            current += character
            if depth == 0:
                parts.append(current)
                current = ""
        else:
            current += character
    return [*parts, current] if current else parts


def token_weights(string, current_weight):
    """[(text, weight)]: a number in parentheses is the weight, bare ones multiply it by 1.1."""
    found = []
    for part in parse_parentheses(string):
        if len(part) < 2 or not (part.startswith("(") and part.endswith(")")):
            found.append((part, current_weight))
            continue
        inner = part[1:-1]
        weight = current_weight * 1.1
        place = inner.rfind(":")
        if place > 0:
            with contextlib.suppress(ValueError):
                weight, inner = float(inner[place + 1 :]), inner[:place]
        found += token_weights(inner, weight)
    return found


def safe_load_embed_zip(embed_path):
    from comfy.utils import load_torch_file

    return next(iter(load_torch_file(embed_path).values()))


def expand_directory_list(directories):
    """The directories with everything beneath them."""
    import os

    found = set()
    for directory in directories:
        found.add(directory)
        for here, below, _ in os.walk(directory, followlinks=True):
            found.update(os.path.join(here, name) for name in below)
    return list(found)


def load_embed(embedding_name, embedding_directory, embedding_size, embed_key=None):
    """The vectors of a textual inversion, (N, D), or None."""
    from diffusion.text.problems import PromptProblem

    found = _folders(embedding_directory).find(embedding_name, embed_key or "clip_l", embedding_size)
    return None if isinstance(found, PromptProblem) else found


def _folders(directory):
    from pathlib import Path

    if directory is None:
        return EmbeddingFolders(tuple(world().folders.directories("embeddings")))
    many = directory if isinstance(directory, (list, tuple)) else [directory]
    return EmbeddingFolders(tuple(Path(place) for place in many))


def gen_empty_tokens(special_tokens, length):
    """The empty prompt of an encoder as ids."""
    start, end, pad = (special_tokens.get(name) for name in ("start", "end", "pad"))
    tokens = [token for token in (start, end) if token is not None]
    return tokens + [pad if pad is not None else 0] * (length - len(tokens))


def short(name):
    """What packs call an encoder of ours in tokens: "l" for clip_l."""
    return name.removeprefix("clip_")


class ClipTokenWeightEncoder:
    def encode_token_weights(self, token_weight_pairs):
        """(embeddings (1, T, D), pooled (1, P))."""
        name = self.encoder
        chunks = {name: tuple(as_chunk(chunk) for chunk in token_weight_pairs) or (self._empty(),)}
        made = encode(self.one_handle(), Tokens(chunks))
        return made.context, made.pooled

    def _empty(self):
        [spec] = [spec for spec in self.handle.family.text_encoders if spec.name == self.encoder]
        return empty_chunk(spec.pad_token)


def as_chunk(pairs):
    """A chunk of a pack's: (id or vector, weight[, word])."""
    return tuple(
        Token(value if isinstance(value, torch.Tensor) else int(value), float(weight)) for value, weight, *_ in pairs
    )


class SDClipModel(torch.nn.Module, ClipTokenWeightEncoder):
    """One encoder of a handle of ours."""

    LAYERS = ["last", "pooled", "hidden", "all"]

    def __init__(
        self, device="cpu", max_length=77, freeze=True, layer="last", layer_idx=None, textmodel_json_config=None,
        dtype=None, model_class=None, special_tokens={"start": 49406, "end": 49407, "pad": 49407},
        layer_norm_hidden_state=True, enable_attention_masks=False, zero_out_masked=False,
        return_projected_pooled=True, return_attention_masks=False, model_options={},
    ):  # fmt: skip
        super().__init__()
        self.layer, self.layer_idx = layer, layer_idx
        self.options_default = (layer, layer_idx, return_projected_pooled)
        self.special_tokens = special_tokens
        self.max_length = max_length
        self.return_projected_pooled = return_projected_pooled
        self.encoder = ""
        self.__dict__["handle"] = None

    @classmethod
    def of(cls, handle: TextEncoders, encoder: str):
        made = cls.__new__(cls)
        SDClipModel.__init__(made)
        made.transformer = handle.networks[encoder]
        made.encoder = encoder
        made.__dict__["handle"] = handle
        [spec] = [spec for spec in handle.family.text_encoders if spec.name == encoder]
        made.layer = "last" if spec.hidden_state == -1 else "hidden"
        made.layer_idx = None if spec.hidden_state == -1 else spec.hidden_state
        made.options_default = (made.layer, made.layer_idx, True)
        made.special_tokens = {"start": 49406, "end": 49407, "pad": spec.pad_token}
        made.num_layers = getattr(getattr(made.transformer, "config", None), "num_hidden_layers", 12)
        return made

    def one_handle(self):
        """A handle of this encoder alone, stopping where it was told."""
        handle = TextEncoders(
            {self.encoder: self.transformer}, self.handle.family,
            {self.encoder: self.handle.patches.get(self.encoder, ())}, self.handle.stop_at_layer, self.handle.source,
        )  # fmt: skip
        changed = (self.layer, self.layer_idx) != self.options_default[:2]
        return handle.stopping_at(self.layer_idx) if changed and self.layer_idx is not None else handle

    def set_clip_options(self, options):
        layer = options.get("layer", self.layer_idx)
        self.return_projected_pooled = options.get("projected_pooled", self.return_projected_pooled)
        if layer is None or abs(layer) > getattr(self, "num_layers", 12):
            self.layer = "last"
        else:
            self.layer, self.layer_idx = "hidden", layer

    def reset_clip_options(self):
        self.layer, self.layer_idx, self.return_projected_pooled = self.options_default

    def freeze(self):
        return self.eval().requires_grad_(False)

    def encode(self, tokens):
        """tokens: lists of ids; unweighted."""
        return self.encode_token_weights([[(token, 1.0) for token in chunk] for chunk in tokens])

    def forward(self, tokens):
        return self.encode(tokens)

    def load_sd(self, sd):
        return self.transformer.load_state_dict(sd, strict=False)


class SD1ClipModel(torch.nn.Module):
    """A text model around named encoders: `clip_l`, `clip_g`, …"""

    def __init__(
        self, device="cpu", dtype=None, model_options={}, clip_name="l", clip_model=SDClipModel, name=None, **kwargs
    ):
        super().__init__()
        self.clip_name, self.clip = clip_name, name or f"clip_{clip_name}"
        setattr(self, self.clip, clip_model(device=device, dtype=dtype, model_options=model_options, **kwargs))
        self.__dict__["handle"] = None

    @classmethod
    def of(cls, handle: TextEncoders, kinds=None):
        """kinds: encoder → class of its model, where it has one of its own."""
        made = cls.__new__(cls)
        torch.nn.Module.__init__(made)
        made.__dict__["handle"] = handle
        for encoder in handle.networks:
            setattr(made, encoder, (kinds or {}).get(encoder, SDClipModel).of(handle, encoder))
        made.clip = next(iter(handle.networks))
        made.clip_name = short(made.clip)
        made.dtypes = {next(network.parameters()).dtype for network in handle.networks.values()}
        return made

    def encoders(self):
        return [getattr(self, name) for name in self.handle.networks]

    def set_clip_options(self, options):
        for encoder in self.encoders():
            encoder.set_clip_options(options)

    def reset_clip_options(self):
        for encoder in self.encoders():
            encoder.reset_clip_options()

    def encode_token_weights(self, token_weight_pairs):
        """token_weight_pairs: encoder → chunks, as `tokenize` gives them."""
        chunks = {
            name: tuple(as_chunk(chunk) for chunk in token_weight_pairs[short(name)])
            for name in self.handle.networks
            if short(name) in token_weight_pairs
        }
        made = encode(self.whole_handle(chunks), Tokens(chunks))
        return made.context, made.pooled

    def whole_handle(self, chunks):
        handle = self.handle
        if set(chunks) != set(handle.networks):
            handle = TextEncoders(
                {name: handle.networks[name] for name in handle.networks if name in chunks}, handle.family,
                handle.patches, handle.stop_at_layer, handle.source,
            )  # fmt: skip
        told = [
            encoder.layer_idx
            for encoder in self.encoders()
            if (encoder.layer, encoder.layer_idx) != encoder.options_default[:2]
        ]
        return handle.stopping_at(told[0]) if told and told[0] is not None else handle

    def load_sd(self, sd):
        return [], list(sd)


class SDTokenizer:
    """One encoder's tokeniser."""

    def __init__(
        self,
        tokenizer_path=None,
        max_length=77,
        pad_with_end=True,
        embedding_directory=None,
        embedding_size=768,
        embedding_key="clip_l",
        **kwargs,
    ):
        self.max_length = max_length
        self.max_tokens_per_section = max_length - 2
        self.start_token, self.end_token = 49406, 49407
        self.pad_token = self.end_token if pad_with_end else 0
        self.pad_with_end = pad_with_end
        self.tokens_start = 1
        self.tokenizer_adds_end_token = True
        self.embedding_directory = embedding_directory
        self.embedding_identifier = "embedding:"
        self.embedding_size = embedding_size
        self.embedding_key = embedding_key
        self.max_word_length = 8
        self.encoder = embedding_key
        self._handle = None

    @classmethod
    def of(cls, handle: TextEncoders, encoder: str):
        [spec] = [spec for spec in handle.family.text_encoders if spec.name == encoder]
        made = cls.__new__(cls)
        SDTokenizer.__init__(made, embedding_size=spec.width, embedding_key=encoder)
        made.pad_token = spec.pad_token
        made.pad_with_end = spec.pad_token == made.end_token
        made._handle = handle
        made.embedding_directory = [str(place) for place in world().folders.directories("embeddings")]
        return made

    @property
    def tokenizer(self):
        return self

    def __call__(self, text):
        from diffusion.text.tokenise import clip_ids

        return {"input_ids": [self.start_token, *clip_ids(text), self.end_token]}

    def get_vocab(self):
        from diffusion.text.vocabulary import clip_vocabulary

        return dict(clip_vocabulary().ids)

    @property
    def inv_vocab(self):
        return {number: word for word, number in self.get_vocab().items()}

    def tokenize_with_weights(self, text, return_word_ids=False, tokenizer_options={}, **kwargs):
        """Chunks of (id or vector, weight[, word id])."""
        tokens = prompt_tokens(_alone(self._handle, self.encoder), text, _folders(self.embedding_directory))
        return as_pairs(tokens.chunks[self.encoder], return_word_ids)

    def untokenize(self, token_weight_pair):
        vocabulary = self.inv_vocab
        return [
            (pair, vocabulary.get(pair[0], "") if not isinstance(pair[0], torch.Tensor) else "")
            for pair in token_weight_pair
        ]

    def state_dict(self):
        return {}


def _alone(handle, encoder):
    return TextEncoders({encoder: handle.networks[encoder]}, handle.family, source=handle.source)


def as_pairs(chunks, return_word_ids):
    """Our chunks as packs have them. Words are counted from 1; start, end and padding are 0."""
    made, word = [], 0
    for chunk in chunks:
        pairs = []
        inside = True
        for i, token in enumerate(chunk):
            is_frame = i == 0 or (not isinstance(token.value, torch.Tensor) and token.value == 49407)
            inside = inside and (i == 0 or not is_frame)
            word += 1 if inside and i > 0 else 0
            number = word if inside and i > 0 else 0
            pairs.append((token.value, token.weight, number) if return_word_ids else (token.value, token.weight))
        made.append(pairs)
    return made


class SD1Tokenizer:
    """All tokenisers of a model: `tokenize_with_weights` gives a dict by encoder."""

    def __init__(
        self, embedding_directory=None, tokenizer_data={}, clip_name="l", tokenizer=SDTokenizer, name=None, **kwargs
    ):
        self.clip_name, self.clip = clip_name, name or f"clip_{clip_name}"
        setattr(self, self.clip, tokenizer(embedding_directory=embedding_directory, **kwargs))
        self._handle = None

    @classmethod
    def of(cls, handle: TextEncoders):
        made = cls.__new__(cls)
        made._handle = handle
        for encoder in handle.networks:
            setattr(made, encoder, SDTokenizer.of(handle, encoder))
        made.clip = next(iter(handle.networks))
        made.clip_name = short(made.clip)
        return made

    def tokenize_with_weights(self, text, return_word_ids=False, tokenizer_options={}, **kwargs):
        tokens = prompt_tokens(self._handle, text, _folders(getattr(self, self.clip).embedding_directory))
        return {short(name): as_pairs(chunks, return_word_ids) for name, chunks in tokens.chunks.items()}

    def untokenize(self, token_weight_pair):
        return getattr(self, self.clip).untokenize(token_weight_pair)

    def state_dict(self):
        return {}
