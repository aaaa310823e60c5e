"""Stands for packs of small tools: odd declarations, lists, hidden inputs, any type, validators, state."""

import folder_paths
import torch
from comfy.utils import ProgressBar, common_upscale

import nodes
from server import PromptServer


class AnyType(str):
    def __ne__(self, other):
        return False


class Everything(dict):
    def __contains__(self, key):
        return True

    def __getitem__(self, key):
        return (AnyType("*"),)


any_type = AnyType("*")


class ShowAny:
    @classmethod
    def INPUT_TYPES(s):
        return {
            "required": {},
            "optional": {"anything": (any_type, {})},
            "hidden": {"unique_id": "UNIQUE_ID", "prompt": "PROMPT"},
        }

    RETURN_TYPES = (any_type,)
    FUNCTION = "show"
    OUTPUT_NODE = True
    INPUT_IS_LIST = True
    OUTPUT_IS_LIST = (True,)
    CATEGORY = "utility"

    def show(self, anything=None, unique_id=None, prompt=None):
        return {"ui": {"text": [str(one) for one in anything or ()] + unique_id}, "result": (anything,)}


class Collect:
    """Takes whatever is linked."""

    @classmethod
    def INPUT_TYPES(s):
        return {"required": {}, "optional": Everything()}

    RETURN_TYPES = ("STRING",)
    FUNCTION = "collect"
    CATEGORY = "utility"

    def collect(self, **kwargs):
        return (",".join(f"{name}={value}" for name, value in sorted(kwargs.items())),)


class Numbers:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"count": ("INT", {"default": 3, "min": 0, "max": nodes.MAX_RESOLUTION})}}

    RETURN_TYPES = ("INT",)
    OUTPUT_IS_LIST = (True,)
    FUNCTION = "go"
    CATEGORY = "utility"

    def go(self, count):
        return (list(range(count)),)


class Counter:
    """State on the instance, and a run every time."""

    def __init__(self):
        self.runs = 0

    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"step": ("INT", {"default": 1})}}

    @classmethod
    def IS_CHANGED(s, step):
        return float("nan")

    RETURN_TYPES = ("INT",)
    FUNCTION = "count"
    CATEGORY = "utility"

    def count(self, step):
        self.runs += step
        return (self.runs,)


class Choosy:
    """A validator of its own, and choices that are files."""

    @classmethod
    def INPUT_TYPES(s):
        return {
            "required": {
                "word": ("STRING", {"default": "good"}),
                "lora": (["None", *folder_paths.get_filename_list("loras")],),
                "mode": (["fast", "slow"], {"default": "fast"}),
            }
        }

    @classmethod
    def VALIDATE_INPUTS(s, word):
        return True if word != "bad" else "that word is bad"

    RETURN_TYPES = ("STRING",)
    FUNCTION = "go"
    CATEGORY = "utility"

    def go(self, word, lora, mode):
        return (f"{word} {lora} {mode}",)


class Shrink:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"image": ("IMAGE",), "method": (nodes.ImageScale.upscale_methods,)}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "go"
    CATEGORY = "utility"

    def go(self, image, method):
        bar = ProgressBar(2)
        small = common_upscale(image.movedim(-1, 1), image.shape[2] // 2, image.shape[1] // 2, method, "disabled")
        bar.update(1)
        [inverted] = nodes.NODE_CLASS_MAPPINGS["ImageInvert"]().invert(small.movedim(1, -1))
        bar.update(1)
        return (inverted,)


class Save(nodes.SaveImage):
    def __init__(self):
        super().__init__()
        self.type = "temp"
        self.output_dir = folder_paths.get_temp_directory()
        self.compress_level = 1

    FUNCTION = "go"
    CATEGORY = "utility"

    def go(self, images, filename_prefix="x", prompt=None, extra_pnginfo=None):
        return self.save_images(images, "mine", prompt, extra_pnginfo)


assert PromptServer.instance is not None
assert torch.get_default_dtype() == torch.float32

NODE_CLASS_MAPPINGS = {
    f"Utility{kind.__name__}": kind for kind in (ShowAny, Collect, Numbers, Counter, Choosy, Shrink, Save)
}
NODE_DISPLAY_NAME_MAPPINGS = {"UtilityShowAny": "Show anything"}
