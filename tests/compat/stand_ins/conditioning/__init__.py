"""Stands for packs that encode prompts in ways of their own and hang things on conditionings."""

import torch
from comfy.sd1_clip import escape_important, token_weights, unescape_important
from node_helpers import conditioning_set_values


class Encode:
    """Averages the weighted and the plain prompt, token by token."""

    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"text": ("STRING", {"multiline": True}), "clip": ("CLIP",)}}

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "encode"
    CATEGORY = "conditioning"

    def encode(self, text, clip):
        assert [w for _, w in token_weights(escape_important(text), 1.0)]
        assert unescape_important(escape_important(r"\(a\)")) == "(a)"
        tokens = clip.tokenize(text, return_word_ids=True)
        plain = {name: [[(t, 1.0) for t, *_ in chunk] for chunk in chunks] for name, chunks in tokens.items()}
        cond, pooled = clip.encode_from_tokens(plain, return_pooled=True)
        weighted, _ = clip.cond_stage_model.encode_token_weights(tokens)
        return ([[(cond + weighted) / 2, {"pooled_output": pooled}]],)


class Region:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"conditioning": ("CONDITIONING",), "mask": ("MASK",)}}

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "go"
    CATEGORY = "conditioning"

    def go(self, conditioning, mask):
        return (conditioning_set_values(conditioning, {"mask": mask, "mask_strength": 0.5, "mine": torch.zeros(1)}),)


NODE_CLASS_MAPPINGS = {"ConditioningEncode": Encode, "ConditioningRegion": Region}
