"""`io` under the name of its file in the program packs were written for."""

from comfy_api.latest.io import *
