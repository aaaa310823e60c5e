"""`nodes`: class name → class of every node, and the classes of our own nodes by their names."""

from compat.node_classes import node_classes

MAX_RESOLUTION = 16384

NODE_CLASS_MAPPINGS = node_classes().mapping
NODE_DISPLAY_NAME_MAPPINGS = node_classes().titles
EXTENSION_WEB_DIRS: dict[str, str] = {}
LOADED_MODULE_DIRS: dict[str, str] = {}
