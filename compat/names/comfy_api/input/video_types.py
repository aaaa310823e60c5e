"""`comfy_api.input` under the name of a file of the program packs were written for."""

from comfy_api.input import *
