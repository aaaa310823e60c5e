"""`comfy_api.util` under the name of its file in the program packs were written for."""

from comfy_api.util import *
