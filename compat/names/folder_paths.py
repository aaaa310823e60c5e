"""Where things are, by the functions and values packs know. The folders are those of this installation."""

import mimetypes
import os
import time
from pathlib import Path

from compat.listed import Listed
from compat.world import world
from storage.folders import LEGACY, WEIGHTS
from storage.listing import Listing, media_type
from storage.names import beneath, split_annotation
from storage.outputs import expand, highest

_folders = world().folders

# Packs find the installation by the place of this module.
__file__ = str(_folders.base / "folder_paths.py")

base_path = str(_folders.base)
models_dir = str(_folders.models)
output_directory = str(_folders.output)
temp_directory = str(_folders.temp)
input_directory = str(_folders.input)
user_directory = str(_folders.user)
supported_pt_extensions = set(WEIGHTS)

extension_mimetypes_cache = {"webp": "image", "fbx": "model"}
filename_list_cache = {}


def _initial(kind):
    extensions = {str(ending) for ending in _folders.extensions(kind)}
    shared = supported_pt_extensions if extensions == supported_pt_extensions else extensions
    return [str(directory) for directory in _folders.directories(kind)], shared


folder_names_and_paths = {kind: _initial(kind) for kind in _folders.kinds()}
_at_start = {kind: tuple(entry[0]) for kind, entry in folder_names_and_paths.items()}
_listings: dict = {}


def map_legacy(folder_name):
    """The name a category has today."""
    return LEGACY.get(folder_name, folder_name)


def get_folder_paths(folder_name):
    """A copy of the list of a category's directories. Raises KeyError."""
    return list(folder_names_and_paths[map_legacy(folder_name)][0])


def add_model_folder_path(folder_name, full_folder_path, is_default=False):
    """One more directory for a category; an unknown category begins to exist and takes every file."""
    folder_name = map_legacy(folder_name)
    paths, _ = folder_names_and_paths.setdefault(folder_name, ([], set()))
    full_folder_path = str(full_folder_path)
    if full_folder_path in paths and is_default:
        paths.remove(full_folder_path)
    if full_folder_path not in paths:
        paths.insert(0 if is_default else len(paths), full_folder_path)
    share_with_our_nodes()


def share_with_our_nodes():
    """Directories that packs added are searched by our own loaders too."""
    for kind, entry in list(folder_names_and_paths.items()):
        known = [str(place) for place in _folders.directories(kind)] if kind in _folders.kinds() else []
        for place in entry[0]:
            if str(place) not in known:
                extensions = {str(ending) for ending in entry[1]} if len(entry) > 1 else set()
                _folders.add(kind, Path(place), extensions=None if known else extensions)


def get_filename_list(folder_name):
    """Names of a category's files, sorted; a new list every time. Raises KeyError for an unknown category."""
    kind = map_legacy(folder_name)
    entry = folder_names_and_paths[kind]
    directories = tuple(Path(place) for place in entry[0])
    extensions = frozenset(str(ending).lower() for ending in (entry[1] if len(entry) > 1 else ()))
    known = _listings.get(kind)
    if known is None or known[:2] != (directories, extensions) or not known[2].fresh():
        known = _listings[kind] = (directories, extensions, Listing.read(directories, extensions))
    names = known[2].names
    if tuple(entry[0]) == _at_start.get(kind) and kind not in ("custom_nodes", "diffusers"):
        return Listed(names, kind)
    return list(names)


def get_filename_list_(folder_name):
    names = get_filename_list(folder_name)
    return names, {}, time.perf_counter()


def cached_filename_list_(folder_name):
    return None


def recursive_search(directory, excluded_dir_names=None):
    """(file names relative to the directory, {directory: time of its last change}) of everything beneath it."""
    if not os.path.isdir(directory):
        return [], {}
    excluded = set(excluded_dir_names or ())
    names, times = [], {directory: os.path.getmtime(directory)}
    for here, below, files in os.walk(directory, followlinks=True):
        below[:] = [name for name in below if name not in excluded]
        names += [os.path.relpath(os.path.join(here, file), directory) for file in files]
        times.update({path: os.path.getmtime(path) for path in (os.path.join(here, name) for name in below)})
    return names, times


def filter_files_extensions(files, extensions):
    wanted = {str(ending).lower() for ending in extensions}
    return sorted(name for name in files if not wanted or os.path.splitext(name)[-1].lower() in wanted)


def filter_files_content_types(files, content_types):
    """Names whose major media type ("image", "video", "audio", "model") is wanted."""
    found = []
    for name in files:
        ending = os.path.splitext(name)[1].lower().removeprefix(".")
        major = extension_mimetypes_cache.get(ending) or (media_type(name) or mimetypes.guess_type(name)[0] or "")
        if major.split("/")[0] in content_types:
            found.append(name)
    return found


def get_full_path(folder_name, filename):
    """The path of an existing file, or None."""
    kind = map_legacy(folder_name)
    if kind not in folder_names_and_paths or not filename:
        return None
    # A name is normalised from the root down, so that it cannot climb out.
    filename = os.path.relpath(os.path.join("/", str(filename).replace("\\", os.sep)), "/")
    for directory in folder_names_and_paths[kind][0]:
        path = os.path.join(directory, filename)
        if os.path.isfile(path):
            return path
    return None


def get_full_path_or_raise(folder_name, filename):
    path = get_full_path(folder_name, filename)
    if path is None:
        raise FileNotFoundError(f"there is no {filename!r} among the {folder_name}")
    return path


def get_relative_path(full_path):
    for kind, (paths, *_) in folder_names_and_paths.items():
        for place in paths:
            if os.path.commonpath([os.path.abspath(place), os.path.abspath(full_path)]) == os.path.abspath(place):
                return kind, os.path.relpath(full_path, place)
    return None


# Folders of user files. The values may be changed by packs; the functions read them.


def get_output_directory():
    return output_directory


def get_temp_directory():
    return temp_directory


def get_input_directory():
    return input_directory


def get_user_directory():
    return user_directory


def set_output_directory(output_dir):
    global output_directory
    output_directory = output_dir


def set_temp_directory(temp_dir):
    global temp_directory
    temp_directory = temp_dir


def set_input_directory(input_dir):
    global input_directory
    input_directory = input_dir


def set_user_directory(user_dir):
    global user_directory
    user_directory = user_dir


def get_system_user_directory(name="system"):
    return os.path.join(user_directory, f"__{name}")


def get_public_user_directory(user_id):
    return None if user_id.startswith("__") else os.path.join(user_directory, user_id)


def get_directory_by_type(type_name):
    return {"output": output_directory, "temp": temp_directory, "input": input_directory}.get(type_name)


def annotated_filepath(name):
    """(bare name, the folder its annotation means or None)."""
    bare, kind = split_annotation(name)
    return bare, get_directory_by_type(kind) if kind else None


def _annotated(name, default_dir):
    bare, folder = annotated_filepath(name)
    return os.path.join(folder or default_dir or input_directory, bare)


def get_annotated_filepath(name, default_dir=None):
    return _annotated(name, default_dir)


def exists_annotated_filepath(name):
    return os.path.exists(_annotated(name, None))


def get_input_subfolders():
    if not os.path.isdir(input_directory):
        return []
    found = [os.path.relpath(here, input_directory) for here, _, _ in os.walk(input_directory)]
    return sorted(name for name in found if name != ".")


def get_save_image_path(filename_prefix, output_dir, image_width=0, image_height=0):
    """(folder, file name without number, next number, sub-folder, expanded prefix); makes the folder. Raises BadName
    for a prefix that leads out of it."""
    from datetime import datetime

    prefix = expand(filename_prefix, int(image_width), int(image_height), datetime.now().astimezone())
    subfolder, filename = os.path.split(os.path.normpath(prefix))
    folder = beneath(Path(output_dir), subfolder) if subfolder else Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder), filename, highest(folder, filename) + 1, subfolder, prefix


class CacheHelper:
    """Listings are remembered anyway."""

    active = False

    def get(self, key, default=None):
        return default

    def set(self, key, value):
        pass

    def clear(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


cache_helper = CacheHelper()
