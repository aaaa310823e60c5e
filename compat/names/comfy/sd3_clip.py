"""An older place of the text model of Stable Diffusion 3."""

from comfy.text_encoders.sd3_clip import SD3ClipModel as SD3ClipModel
from comfy.text_encoders.sd3_clip import SD3Tokenizer as SD3Tokenizer
from comfy.text_encoders.sd3_clip import T5XXLModel as T5XXLModel
