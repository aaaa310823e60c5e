"""`comfy_api.input_impl` under the name of its file in the program packs were written for."""

from comfy_api.input_impl import *
