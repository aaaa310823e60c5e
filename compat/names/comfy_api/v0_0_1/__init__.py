"""`comfy_api.latest` under the name of a version: newer versions only added to it."""

from comfy_api.latest import *
from comfy_api.latest import __all__
