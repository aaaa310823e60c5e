"""An example pack in the style of classes that packs of this ecosystem have: it runs here and in other programs.

Take `.disabled` off the folder's name to have its nodes in the menu under "examples".
"""

import torch


class ExamplePalette:
    """Finds the main colours of a picture, by halving the fullest box of colours again and again (median cut)."""

    CATEGORY = "examples"
    DESCRIPTION = "The main colours of pictures, as stripes and as text."
    RETURN_TYPES = ("IMAGE", "STRING")
    RETURN_NAMES = ("stripes", "colours")
    FUNCTION = "find"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "image": ("IMAGE",),
                "count": ("INT", {"default": 4, "min": 1, "max": 16, "tooltip": "how many colours"}),
                "order": (["brightness", "share"], {"default": "share"}),
            }
        }

    def find(self, image, count, order):
        boxes = [image[..., :3].reshape(-1, 3)]
        while len(boxes) < count:
            fullest = max(range(len(boxes)), key=lambda i: _spread(boxes[i]))
            box = boxes.pop(fullest)
            axis = (box.amax(0) - box.amin(0)).argmax()
            box = box[box[:, axis].argsort(stable=True)]
            boxes += [box[: (len(box) + 1) // 2], box[(len(box) + 1) // 2 :]]
            boxes = [box for box in boxes if len(box)]
            if all(len(box) == 1 for box in boxes):
                break
        if order == "share":
            boxes.sort(key=len, reverse=True)
        colours = torch.stack([box.mean(0) for box in boxes])
        if order == "brightness":
            colours = colours[colours.sum(1).argsort()]
        names = ["#" + "".join(f"{round(value * 255):02x}" for value in colour) for colour in colours.tolist()]
        stripes = colours.repeat_interleave(32, 0)[None, None].repeat(1, 32, 1, 1)
        text = ", ".join(names)
        return {"ui": {"text": [text]}, "result": (stripes, text)}


def _spread(box):
    """How much a box gains from being halved: its widest side, times its pixels."""
    return (box.amax(0) - box.amin(0)).max().item() * len(box) if len(box) > 1 else -1.0


NODE_CLASS_MAPPINGS = {"ExamplePalette": ExamplePalette}
NODE_DISPLAY_NAME_MAPPINGS = {"ExamplePalette": "Main Colours"}
