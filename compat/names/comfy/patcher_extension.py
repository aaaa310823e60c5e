"""Wrappers around the stages of sampling, callbacks of patchers, and injections into networks."""

from collections.abc import Callable
from typing import Any


class CallbacksMP:
    ON_CLONE = "on_clone"
    ON_LOAD = "on_load_after"
    ON_DETACH = "on_detach_after"
    ON_CLEANUP = "on_cleanup"
    ON_PRE_RUN = "on_pre_run"
    ON_PREPARE_STATE = "on_prepare_state"
    ON_APPLY_HOOKS = "on_apply_hooks"
    ON_REGISTER_ALL_HOOK_PATCHES = "on_register_all_hook_patches"
    ON_INJECT_MODEL = "on_inject_model"
    ON_EJECT_MODEL = "on_eject_model"

    @classmethod
    def init_callbacks(cls):
        return {kind: {} for name, kind in vars(cls).items() if name.startswith("ON_")}


class WrappersMP:
    OUTER_SAMPLE = "outer_sample"
    PREPARE_SAMPLING = "prepare_sampling"
    SAMPLER_SAMPLE = "sampler_sample"
    PREDICT_NOISE = "predict_noise"
    CALC_COND_BATCH = "calc_cond_batch"
    APPLY_MODEL = "apply_model"
    DIFFUSION_MODEL = "diffusion_model"

    @classmethod
    def init_wrappers(cls):
        return {kind: {} for name, kind in vars(cls).items() if name.isupper()}


def _add(group: str, kind: str, key: str | None, item: Any, options: dict, is_model_options: bool) -> None:
    holder = options.setdefault("transformer_options", {}) if is_model_options else options
    holder.setdefault(group, {}).setdefault(kind, {}).setdefault(key, []).append(item)


def _all(group: str, kind: str, options: dict, is_model_options: bool) -> list:
    holder = options.get("transformer_options", {}) if is_model_options else options
    return [item for items in holder.get(group, {}).get(kind, {}).values() for item in items]


def add_callback(call_type, callback, transformer_options, is_model_options=False):
    _add("callbacks", call_type, None, callback, transformer_options, is_model_options)


def add_callback_with_key(call_type, key, callback, transformer_options, is_model_options=False):
    _add("callbacks", call_type, key, callback, transformer_options, is_model_options)


def get_all_callbacks(call_type, transformer_options, is_model_options=False):
    return _all("callbacks", call_type, transformer_options, is_model_options)


def get_callbacks_with_key(call_type, key, transformer_options, is_model_options=False):
    holder = transformer_options.get("transformer_options", {}) if is_model_options else transformer_options
    return list(holder.get("callbacks", {}).get(call_type, {}).get(key, []))


def add_wrapper(wrapper_type, wrapper, transformer_options, is_model_options=False):
    _add("wrappers", wrapper_type, None, wrapper, transformer_options, is_model_options)


def add_wrapper_with_key(wrapper_type, key, wrapper, transformer_options, is_model_options=False):
    _add("wrappers", wrapper_type, key, wrapper, transformer_options, is_model_options)


def get_all_wrappers(wrapper_type, transformer_options, is_model_options=False):
    return _all("wrappers", wrapper_type, transformer_options, is_model_options)


def get_wrappers_with_key(wrapper_type, key, transformer_options, is_model_options=False):
    holder = transformer_options.get("transformer_options", {}) if is_model_options else transformer_options
    return list(holder.get("wrappers", {}).get(wrapper_type, {}).get(key, []))


class WrapperExecutor:
    """One link of a chain: called, it goes on to the next wrapper, and at the end to the original."""

    def __init__(self, original: Callable, class_obj: object, wrappers: list[Callable], idx: int):
        self.original = original
        self.class_obj = class_obj
        self.wrappers = list(wrappers)
        self.idx = idx
        self.is_last = idx >= len(self.wrappers)

    def __call__(self, *args, **kwargs):
        return self._next().execute(*args, **kwargs)

    def execute(self, *args, **kwargs):
        """Run from here on."""
        if self.is_last:
            return self.original(*args, **kwargs)
        return self.wrappers[self.idx](self, *args, **kwargs)

    def _next(self) -> "WrapperExecutor":
        return WrapperExecutor(self.original, self.class_obj, self.wrappers, self.idx + 1)

    @classmethod
    def new_executor(cls, original, wrappers, idx=0):
        return cls(original, None, wrappers, idx)

    @classmethod
    def new_class_executor(cls, original, class_obj, wrappers, idx=0):
        return cls(original, class_obj, wrappers, idx)


class PatcherInjection:
    """Something put into a network while it is in use. inject, eject: called with the patcher."""

    def __init__(self, inject, eject):
        self.inject = inject
        self.eject = eject


def copy_nested_dicts(input_dict):
    """Dicts and lists copied, what they hold shared."""
    copied = {}
    for key, value in input_dict.items():
        if isinstance(value, dict):
            copied[key] = copy_nested_dicts(value)
        else:
            copied[key] = list(value) if isinstance(value, list) else value
    return copied


def merge_nested_dicts(dict1, dict2, copy_dict1=True):
    """The second over the first; lists are joined."""
    merged = copy_nested_dicts(dict1) if copy_dict1 else dict1
    for key, value in dict2.items():
        if isinstance(value, dict):
            merged[key] = merge_nested_dicts(merged.get(key, {}), value, copy_dict1)
        elif isinstance(value, list):
            merged[key] = [*merged.get(key, []), *value]
        else:
            merged[key] = value
    return merged
