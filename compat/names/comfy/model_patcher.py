"""`ModelPatcher`: a network with everything that is done to it, as packs see a MODEL.

It stands for a handle of ours: weight patches become a patch of the handle's, and what a handle cannot carry (functions
around sampling, other schedules, wrappers) makes the run one that packs' own loop drives (`compat/inside/driver.py`).
"""

import inspect
import logging
import uuid
from dataclasses import dataclass, field

import torch

from comfy import model_base, patcher_extension, utils
from comfy.patcher_extension import CallbacksMP, WrappersMP
from compat.border import outward
from compat.inside.network import OUR_HOOKS, as_packs_call
from compat.inside.places import device_of, here
from diffusion.handles import Model
from diffusion.patches.weights import patched

log = logging.getLogger(__name__)

NETWORK = "diffusion_model."


def string_to_seed(data):
    return utils.string_to_seed(data)


def create_model_options_clone(orig_model_options):
    return patcher_extension.copy_nested_dicts(orig_model_options)


def set_model_options_patch_replace(model_options, patch, name, block_name, number, transformer_index=None):
    """A replacement at (block, number[, layer]), the dicts on the way to it copied."""
    to = model_options["transformer_options"] = dict(model_options.get("transformer_options", {}))
    to["patches_replace"] = dict(to.get("patches_replace", {}))
    to["patches_replace"][name] = dict(to["patches_replace"].get(name, {}))
    place = (block_name, number) if transformer_index is None else (block_name, number, transformer_index)
    to["patches_replace"][name][place] = patch
    return model_options


def set_model_options_post_cfg_function(model_options, post_cfg_function, disable_cfg1_optimization=False):
    return _appended(model_options, "sampler_post_cfg_function", post_cfg_function, disable_cfg1_optimization)


def set_model_options_pre_cfg_function(model_options, pre_cfg_function, disable_cfg1_optimization=False):
    return _appended(model_options, "sampler_pre_cfg_function", pre_cfg_function, disable_cfg1_optimization)


def _appended(model_options, name, function, disable_cfg1_optimization):
    model_options[name] = [*model_options.get(name, []), function]
    if disable_cfg1_optimization:
        model_options["disable_cfg1_optimization"] = True
    return model_options


def wipe_lowvram_weight(m):
    pass


def get_key_weight(model, key):
    return utils.get_attr(model, key), None, None


class AutoPatcherEjector:
    """Inside: what is injected into a model is taken out, where it was in."""

    def __init__(self, model, skip_and_inject_on_exit_only=False):
        self.model, self.was_injected = model, False
        self.only_at_exit = skip_and_inject_on_exit_only

    def __enter__(self):
        if self.model.is_injected and not self.only_at_exit:
            self.model.eject_model()
            self.was_injected = True

    def __exit__(self, *_):
        if self.was_injected or self.only_at_exit:
            self.model.inject_model()


class MemoryCounter:
    def __init__(self, initial, minimum=0):
        self.value, self.minimum = initial, minimum

    def use(self, weight):
        size = weight.nelement() * weight.element_size()
        if self.value - size < self.minimum:
            return False
        self.value -= size
        return True


@dataclass(frozen=True)
class PackPatches:
    """The weight patches of a patcher as one patch of a handle. Equal by the patcher's own mark."""

    mark: object
    by_name: dict = field(compare=False, repr=False)

    @property
    def names(self):
        return frozenset(self.by_name)

    def apply(self, name, weight):
        from comfy import lora

        return lora.calculate_weight(
            self.by_name[name], weight.clone(), NETWORK + name, intermediate_dtype=weight.dtype
        )

    def __hash__(self):
        return hash(self.mark)


class ModelPatcher:
    """model: a `model_base.BaseModel`, or any module of a pack's own."""

    def __init__(self, model, load_device, offload_device, size=0, weight_inplace_update=False):
        self.size = size
        self.model = model
        self.load_device = load_device
        self.offload_device = offload_device
        self.weight_inplace_update = weight_inplace_update
        self.patches = {}
        self.backup = {}
        self.object_patches = {}
        self.object_patches_backup = {}
        self.weight_wrapper_patches = {}
        self.model_options = {"transformer_options": {}}
        self.patches_uuid = uuid.uuid4()
        self.parent = None
        self.callbacks = CallbacksMP.init_callbacks()
        self.wrappers = WrappersMP.init_wrappers()
        self.injections = {}
        self.attachments = {}
        self.additional_models = {}
        self.is_injected = False
        self.skip_injection = False
        self.hook_patches = {}
        self.hook_patches_backup = None
        self.hook_backup = {}
        self.cached_hook_patches = {}
        self.current_hooks = None
        self.forced_hooks = None
        self.is_clip = False
        self.hook_mode = None
        self.native: Model | None = getattr(model, "handle", None)
        """What our own nodes made of the model; everything of packs comes on top."""
        self.handle = None
        self.force_cast_weights = False
        self.weights_go_by_handle = False
        """Who owns this patcher (a CLIP, a VAE) hands its patches to the library itself."""
        if not hasattr(model, "model_loaded_weight_memory"):
            model.model_loaded_weight_memory = 0
            model.model_lowvram = False
            model.current_weight_patches_uuid = None
            if getattr(model, "device", None) is None:
                model.device = offload_device

    @classmethod
    def of(cls, handle: Model) -> "ModelPatcher":
        """The patcher for a model of ours."""
        model = model_base.class_of(handle).of(handle)
        patcher = cls(model, device_of(handle.network), torch.device("cpu"))
        patcher.native = None
        patcher._take(handle)
        return patcher

    def _take(self, handle):
        """Stand for this handle from now on."""
        from compat.inside.guidance import as_model_options

        before = self.native
        self.native = handle
        options = self.model_options["transformer_options"]
        options[OUR_HOOKS] = handle.hooks
        as_model_options(before, handle, self.model_options)
        if before is not None and before.patches != handle.patches:
            self.patches_uuid = uuid.uuid4()
        if before is not None and before.prediction != handle.prediction:
            from comfy import model_sampling

            self.object_patches["model_sampling"] = model_sampling.of_prediction(handle.prediction)

    # Copies

    def get_clone_model_override(self):
        return self.model, (self.backup, self.object_patches_backup)

    def clone(self, disable_dynamic=False, model_override=None):
        twin = self.__class__(self.model, self.load_device, self.offload_device, self.size, self.weight_inplace_update)
        twin.patches = {key: list(found) for key, found in self.patches.items()}
        twin.patches_uuid = self.patches_uuid
        twin.object_patches = dict(self.object_patches)
        twin.weight_wrapper_patches = dict(self.weight_wrapper_patches)
        twin.model_options = create_model_options_clone(self.model_options)
        twin.backup, twin.object_patches_backup = self.backup, self.object_patches_backup
        twin.parent = self
        twin.native = self.native
        twin.force_cast_weights = self.force_cast_weights
        twin.weights_go_by_handle = self.weights_go_by_handle
        twin.callbacks = patcher_extension.copy_nested_dicts(self.callbacks)
        twin.wrappers = patcher_extension.copy_nested_dicts(self.wrappers)
        twin.injections = {key: list(found) for key, found in self.injections.items()}
        twin.additional_models = {
            key: [model.clone() for model in found] for key, found in self.additional_models.items()
        }
        for key, attached in self.attachments.items():
            on_clone = getattr(attached, "on_model_patcher_clone", None)
            twin.attachments[key] = attached if on_clone is None else on_clone()
        twin.hook_patches = create_model_options_clone(self.hook_patches)
        twin.forced_hooks = self.forced_hooks.clone() if self.forced_hooks else None
        twin.is_clip = self.is_clip
        twin.hook_mode = self.hook_mode
        for callback in self.get_all_callbacks(CallbacksMP.ON_CLONE):
            callback(self, twin)
        return twin

    def is_clone(self, other):
        return hasattr(other, "model") and self.model is other.model

    def clone_has_same_weights(self, clone):
        return self.is_clone(clone) and self.patches_uuid == clone.patches_uuid

    def clone_with_same_weights(self, clone):
        return self.clone_has_same_weights(clone)

    # What it is

    def model_size(self):
        if self.size <= 0:
            from comfy import model_management

            self.size = model_management.module_size(self.model)
        return self.size

    def get_ram_usage(self):
        return self.model_size()

    def loaded_size(self):
        return self.model.model_loaded_weight_memory or self.model_size()

    def lowvram_patch_counter(self):
        return 0

    def current_loaded_device(self):
        return self.model.device

    def memory_required(self, input_shape):
        return self.model.memory_required(input_shape=input_shape)

    def model_dtype(self):
        return self.model.get_dtype() if hasattr(self.model, "get_dtype") else None

    def get_dtype(self):
        return self.model_dtype()

    def model_state_dict(self, filter_prefix=None):
        tensors = self.model.state_dict()
        return {name: tensors[name] for name in tensors if filter_prefix is None or name.startswith(filter_prefix)}

    def get_model_object(self, name):
        """By a dotted path, patched objects first."""
        if name in self.object_patches:
            return self.object_patches[name]
        return (
            self.object_patches_backup[name] if name in self.object_patches_backup else utils.get_attr(self.model, name)
        )

    def model_patches_to(self, device):
        """Move what patches hold."""
        to = self.model_options["transformer_options"]
        for found in to.get("patches", {}).values():
            found[:] = [patch.to(device) if hasattr(patch, "to") else patch for patch in found]
        for found in to.get("patches_replace", {}).values():
            for place, patch in found.items():
                if hasattr(patch, "to"):
                    found[place] = patch.to(device)
        wrapper = self.model_options.get("model_function_wrapper")
        if hasattr(wrapper, "to"):
            self.model_options["model_function_wrapper"] = wrapper.to(device)

    def model_patches_models(self):
        return []

    def model_patches_call_function(self, function_name="cleanup", arguments=()):
        to = self.model_options["transformer_options"]
        found = [patch for patches in to.get("patches", {}).values() for patch in patches]
        found += [patch for patches in to.get("patches_replace", {}).values() for patch in patches.values()]
        for patch in [*found, self.model_options.get("model_function_wrapper")]:
            if hasattr(patch, function_name):
                getattr(patch, function_name)(*arguments)

    # Functions around sampling

    def set_model_sampler_cfg_function(self, sampler_cfg_function, disable_cfg1_optimization=False):
        """One argument: a dict. Three: positive, negative, scale."""
        if len(inspect.signature(sampler_cfg_function).parameters) == 3:
            function = sampler_cfg_function
            self.model_options["sampler_cfg_function"] = lambda args: function(
                args["cond"], args["uncond"], args["cond_scale"]
            )
        else:
            self.model_options["sampler_cfg_function"] = sampler_cfg_function
        if disable_cfg1_optimization:
            self.model_options["disable_cfg1_optimization"] = True

    def set_model_sampler_post_cfg_function(self, post_cfg_function, disable_cfg1_optimization=False):
        set_model_options_post_cfg_function(self.model_options, post_cfg_function, disable_cfg1_optimization)

    def set_model_sampler_pre_cfg_function(self, pre_cfg_function, disable_cfg1_optimization=False):
        set_model_options_pre_cfg_function(self.model_options, pre_cfg_function, disable_cfg1_optimization)

    def set_model_sampler_calc_cond_batch_function(self, sampler_calc_cond_batch_function):
        self.model_options["sampler_calc_cond_batch_function"] = sampler_calc_cond_batch_function

    def set_model_unet_function_wrapper(self, unet_wrapper_function):
        self.model_options["model_function_wrapper"] = unet_wrapper_function

    def set_model_denoise_mask_function(self, denoise_mask_function):
        self.model_options["denoise_mask_function"] = denoise_mask_function

    def disable_model_cfg1_optimization(self):
        self.model_options["disable_cfg1_optimization"] = True

    # Patches inside the network

    def set_model_patch(self, patch, name):
        to = self.model_options["transformer_options"]
        to.setdefault("patches", {}).setdefault(name, []).append(patch)

    def set_model_patch_replace(self, patch, name, block_name, number, transformer_index=None):
        set_model_options_patch_replace(self.model_options, patch, name, block_name, number, transformer_index)

    def set_model_attn1_patch(self, patch):
        self.set_model_patch(patch, "attn1_patch")

    def set_model_attn2_patch(self, patch):
        self.set_model_patch(patch, "attn2_patch")

    def set_model_attn1_replace(self, patch, block_name, number, transformer_index=None):
        self.set_model_patch_replace(patch, "attn1", block_name, number, transformer_index)

    def set_model_attn2_replace(self, patch, block_name, number, transformer_index=None):
        self.set_model_patch_replace(patch, "attn2", block_name, number, transformer_index)

    def set_model_attn1_output_patch(self, patch):
        self.set_model_patch(patch, "attn1_output_patch")

    def set_model_attn2_output_patch(self, patch):
        self.set_model_patch(patch, "attn2_output_patch")

    def set_model_input_block_patch(self, patch):
        self.set_model_patch(patch, "input_block_patch")

    def set_model_input_block_patch_after_skip(self, patch):
        self.set_model_patch(patch, "input_block_patch_after_skip")

    def set_model_output_block_patch(self, patch):
        self.set_model_patch(patch, "output_block_patch")

    def set_model_emb_patch(self, patch):
        self.set_model_patch(patch, "emb_patch")

    def set_model_forward_timestep_embed_patch(self, patch):
        self.set_model_patch(patch, "forward_timestep_embed_patch")

    def set_model_double_block_patch(self, patch):
        self.set_model_patch(patch, "double_block")

    def set_model_post_input_patch(self, patch):
        self.set_model_patch(patch, "post_input")

    def set_model_rope_options(self, **options):
        self.model_options["transformer_options"]["rope_options"] = options

    def add_object_patch(self, name, obj):
        self.object_patches[name] = obj

    def set_model_compute_dtype(self, dtype):
        self.add_object_patch("manual_cast_dtype", dtype)

    def add_weight_wrapper(self, name, function):
        self.weight_wrapper_patches.setdefault(name, []).append(function)
        self.patches_uuid = uuid.uuid4()

    # Weights

    def add_patches(self, patches, strength_patch=1.0, strength_model=1.0):
        """patches: key, or (key, offset[, function]) → patch. Returns the keys that the model has."""
        known = set(self.model.state_dict())
        found = []
        for name, patch in patches.items():
            key, offset, function = name, None, None
            if not isinstance(name, str):
                key, offset = name[0], name[1]
                function = name[2] if len(name) > 2 else None
            if key in known:
                entry = (strength_patch, patch, strength_model, offset, function)
                self.patches[key] = [*self.patches.get(key, []), entry]
                found.append(name)
        self.patches_uuid = uuid.uuid4()
        return found

    def get_key_patches(self, filter_prefix=None):
        """key → [(weight, convert), patches…], for nodes that merge."""
        return {
            key: [(weight, lambda weight, inplace=False: weight), *self.patches.get(key, [])]
            for key, weight in self.model_state_dict(filter_prefix).items()
        }

    def patch_weight_to_device(self, key, device_to=None, inplace_update=False, **_):
        from comfy import lora

        if key in self.patches:
            weight = utils.get_attr(self.model, key)
            self.backup.setdefault(key, weight.detach())
            changed = lora.calculate_weight(self.patches[key], weight.detach().float().clone(), key)
            utils.set_attr_param(self.model, key, changed.to(weight.dtype))

    def weight_patches(self):
        """What is done to the network's weights, ours first, as patches of a handle."""
        native = self.native.patches if self.native is not None else ()
        mine = {key[len(NETWORK) :]: found for key, found in self.patches.items() if key.startswith(NETWORK)}
        return (*native, PackPatches(self.patches_uuid, mine)) if mine else tuple(native)

    def patch_model(self, device_to=None, lowvram_model_memory=0, load_weights=True, force_patch_weights=False):
        """Put everything in: patched weights, objects, injections. Returns the model."""
        self.eject_model()
        for name, obj in self.object_patches.items():
            before = (
                utils.set_attr(self.model, name, obj) if _has(self.model, name) else _set_new(self.model, name, obj)
            )
            self.object_patches_backup.setdefault(name, before)
        if load_weights:
            self.load(device_to, force_patch_weights=force_patch_weights)
        self.inject_model()
        return self.model

    def load(self, device_to=None, lowvram_model_memory=0, force_patch_weights=False, full_load=False):
        model = self.model
        # In a run the network may be another copy each time.
        in_a_run = self.native is not None and here(self.native.network) is not self.native.network
        if in_a_run or getattr(model, "current_weight_patches_uuid", None) != self.patches_uuid or force_patch_weights:
            self._unpatch_weights()
            if self.native is not None and "diffusion_model" not in self.object_patches:
                plain = getattr(model, "plain_network", None) or model.diffusion_model
                model.__dict__["plain_network"] = plain
                network = here(self.native.network)
                if network is self.native.network:
                    network = patched(network, self.weight_patches())
                same = network is self.native.network
                model.diffusion_model = plain if same else as_packs_call(network, like=plain)
            elif not self.weights_go_by_handle:
                for key in self.patches:
                    self.patch_weight_to_device(key, device_to)
            model.current_weight_patches_uuid = None if in_a_run else self.patches_uuid
        model.model_loaded_weight_memory = self.model_size()
        if self.native is None and device_to is not None:
            model.to(device_to)
            model.device = device_to
        for callback in self.get_all_callbacks(CallbacksMP.ON_LOAD):
            callback(self, device_to, lowvram_model_memory, force_patch_weights, full_load)

    def partially_load(self, device_to, extra_memory=0, force_patch_weights=False):
        self.load(device_to, force_patch_weights=force_patch_weights)
        return 0

    def partially_unload(self, device_to, memory_to_free=0, force_patch_weights=False):
        return 0

    def _unpatch_weights(self):
        for key, weight in self.backup.items():
            utils.set_attr_param(self.model, key, weight)
        self.backup.clear()
        if self.native is not None and "plain_network" in self.model.__dict__:
            self.model.diffusion_model = self.model.__dict__["plain_network"]
        self.model.current_weight_patches_uuid = None

    def unpatch_model(self, device_to=None, unpatch_weights=True):
        """Take everything out again."""
        self.eject_model()
        if unpatch_weights:
            self._unpatch_weights()
            self.model.model_loaded_weight_memory = 0
            if self.native is None and device_to is not None:
                self.model.to(device_to)
                self.model.device = device_to
        for name, before in self.object_patches_backup.items():
            if before is _ABSENT:
                delattr(
                    utils.get_attr(self.model, name.rpartition(".")[0]) if "." in name else self.model,
                    name.rpartition(".")[2],
                )
            else:
                utils.set_attr(self.model, name, before)
        self.object_patches_backup.clear()

    def detach(self, unpatch_all=True):
        self.eject_model()
        self.model_patches_to(self.offload_device)
        if unpatch_all:
            self.unpatch_model(self.offload_device, unpatch_weights=unpatch_all)
        for callback in self.get_all_callbacks(CallbacksMP.ON_DETACH):
            callback(self, unpatch_all)
        return self.model

    def set_model_lowvram(self, value):
        pass

    def calculate_weight(self, patches, weight, key, intermediate_dtype=torch.float32):
        from comfy import lora

        return lora.calculate_weight(patches, weight, key, intermediate_dtype=intermediate_dtype)

    def use_ejected(self, skip_and_inject_on_exit_only=False):
        return AutoPatcherEjector(self, skip_and_inject_on_exit_only)

    # Callbacks, wrappers, attachments, injections

    def add_callback(self, call_type, callback):
        self.add_callback_with_key(call_type, None, callback)

    def add_callback_with_key(self, call_type, key, callback):
        self.callbacks.setdefault(call_type, {}).setdefault(key, []).append(callback)

    def remove_callbacks_with_key(self, call_type, key):
        self.callbacks.get(call_type, {}).pop(key, None)

    def get_callbacks(self, call_type, key):
        return self.callbacks.get(call_type, {}).get(key, [])

    def get_all_callbacks(self, call_type):
        return [item for found in self.callbacks.get(call_type, {}).values() for item in found]

    def add_wrapper(self, wrapper_type, wrapper):
        self.add_wrapper_with_key(wrapper_type, None, wrapper)

    def add_wrapper_with_key(self, wrapper_type, key, wrapper):
        self.wrappers.setdefault(wrapper_type, {}).setdefault(key, []).append(wrapper)

    def remove_wrappers_with_key(self, wrapper_type, key):
        self.wrappers.get(wrapper_type, {}).pop(key, None)

    def get_wrappers(self, wrapper_type, key):
        return self.wrappers.get(wrapper_type, {}).get(key, [])

    def get_all_wrappers(self, wrapper_type):
        return [item for found in self.wrappers.get(wrapper_type, {}).values() for item in found]

    def set_attachments(self, key, attachment):
        self.attachments[key] = attachment

    def get_attachment(self, key):
        return self.attachments.get(key)

    def remove_attachments(self, key):
        self.attachments.pop(key, None)

    def set_additional_models(self, key, models):
        self.additional_models[key] = models

    def get_additional_models_with_key(self, key):
        return self.additional_models.get(key, [])

    def remove_additional_models(self, key):
        self.additional_models.pop(key, None)

    def get_additional_models(self):
        return [model for found in self.additional_models.values() for model in found]

    def get_nested_additional_models(self):
        found, todo = [], list(self.get_additional_models())
        while todo:
            model = todo.pop(0)
            if not any(model is known for known in found):
                found.append(model)
                todo += model.get_additional_models()
        return found

    def set_injections(self, key, injections):
        self.injections[key] = injections

    def get_injections(self, key):
        return self.injections.get(key)

    def remove_injections(self, key):
        self.injections.pop(key, None)

    def inject_model(self):
        if self.is_injected or self.skip_injection:
            return
        for injections in self.injections.values():
            for injection in injections:
                injection.inject(self)
                self.is_injected = True
        if self.is_injected:
            for callback in self.get_all_callbacks(CallbacksMP.ON_INJECT_MODEL):
                callback(self)

    def eject_model(self):
        if not self.is_injected:
            return
        for injections in self.injections.values():
            for injection in injections:
                injection.eject(self)
        self.is_injected = False
        for callback in self.get_all_callbacks(CallbacksMP.ON_EJECT_MODEL):
            callback(self)

    def pre_run(self):
        if hasattr(self.model, "current_patcher"):
            self.model.current_patcher = self
        for callback in self.get_all_callbacks(CallbacksMP.ON_PRE_RUN):
            callback(self)

    def prepare_state(self, timestep, model_options=None):
        for callback in self.get_all_callbacks(CallbacksMP.ON_PREPARE_STATE):
            callback(self, timestep)

    def cleanup(self):
        self.clean_hooks()
        if hasattr(self.model, "current_patcher"):
            self.model.current_patcher = None
        for callback in self.get_all_callbacks(CallbacksMP.ON_CLEANUP):
            callback(self)

    # Hooks: weights that change with the conditioning

    def add_hook_patches(self, hook, patches, strength_patch=1.0, strength_model=1.0):
        entry = self.hook_patches.setdefault(hook.hook_ref, {})
        known = set(self.model.state_dict())
        for key, patch in patches.items():
            if key in known:
                entry.setdefault(key, []).append((strength_patch, patch, strength_model, None, None))
        self.patches_uuid = uuid.uuid4()
        return [key for key in patches if key in known]

    def set_hook_mode(self, hook_mode):
        self.hook_mode = hook_mode

    def register_all_hook_patches(self, hooks, target_dict, model_options=None, registered=None):
        """For one run: `restore_hook_patches` forgets them."""
        if self.hook_patches_backup is None:
            self.hook_patches_backup = create_model_options_clone(self.hook_patches)
        for hook in hooks.hooks if hooks is not None else ():
            hook.add_hook_patches(self, model_options, target_dict, registered)

    def apply_hooks(self, hooks, transformer_options=None, force_apply=False):
        """Change the weights as these hooks want. Returns the transformer options they bring."""
        mine = hooks.hooks if hooks is not None else []
        sigmas = (transformer_options or {}).get("sigmas")
        moved = [sigmas is not None and hook.hook_keyframe.prepare_current_keyframe(float(sigmas[0])) for hook in mine]
        options = {}
        for hook in mine:
            if hasattr(hook, "on_apply_hooks"):
                options.update(hook.on_apply_hooks(self, transformer_options))
        if self.current_hooks is hooks and not force_apply and not any(moved):
            return options
        self.current_hooks = hooks
        extra = {}
        for hook in mine:
            keys = self.hook_patches.get(hook.hook_ref, {})
            for key, found in keys.items():
                extra.setdefault(key, []).extend((strength * hook.strength, *rest) for strength, *rest in found)
        if self.native is not None and (extra or self.hook_backup):
            mine = {key[len(NETWORK) :]: found for key, found in extra.items() if key.startswith(NETWORK)}
            patches = self.weight_patches()
            if mine:
                patches = (*patches, PackPatches(uuid.uuid4(), mine))
            plain = self.model.__dict__.get("plain_network") or self.model.diffusion_model
            self.model.diffusion_model = as_packs_call(patched(self.native.network, patches), like=plain)
            self.hook_backup = dict(extra)
        return options

    def restore_hook_patches(self):
        if self.hook_patches_backup is not None:
            self.hook_patches, self.hook_patches_backup = self.hook_patches_backup, None

    def patch_hooks(self, hooks):
        return self.apply_hooks(hooks)

    def unpatch_hooks(self, whitelist_keys_set=None):
        self.clean_hooks()

    def clear_cached_hook_weights(self):
        self.cached_hook_patches.clear()

    def clean_hooks(self):
        if self.hook_backup:
            self.apply_hooks(None, force_apply=True)
            self.hook_backup = {}
        self.current_hooks = None


_ABSENT = object()


def _has(model, name):
    try:
        utils.get_attr(model, name)
    except AttributeError:
        return False
    return True


def _set_new(model, name, value):
    place, _, last = name.rpartition(".")
    setattr(utils.get_attr(model, place) if place else model, last, value)
    return _ABSENT


CoreModelPatcher = ModelPatcher
ModelPatcherDynamic = ModelPatcher


@dataclass(frozen=True)
class PackModel(Model):
    """A MODEL on the wire that a pack has touched: a handle, with the patcher beside it."""

    patcher: ModelPatcher | None = None


def handle_of(patcher: ModelPatcher) -> Model:
    """A patcher as it travels between nodes."""
    from compat.inside.driver import drives

    native = patcher.native
    if native is None:
        raise TypeError("a model that a pack built around a network of its own cannot be given to nodes of ours")
    fields = {name: getattr(native, name) for name in Model.__dataclass_fields__}
    fields["patches"] = patcher.weight_patches()
    fields["driver"] = drives(patcher)
    handle = PackModel(**fields, patcher=patcher)
    patcher.handle = handle
    return handle


def patcher_of(handle: Model) -> ModelPatcher:
    """The patcher of a wire value: the pack's own where nothing was done to it since."""
    if not isinstance(handle, PackModel) or handle.patcher is None:
        return ModelPatcher.of(handle)
    patcher = handle.patcher
    if patcher.handle is handle:
        return patcher
    changed = patcher.clone()
    fields = {name: getattr(handle, name) for name in Model.__dataclass_fields__}
    fields["patches"] = tuple(patch for patch in handle.patches if not isinstance(patch, PackPatches))
    fields["driver"] = None
    changed._take(Model(**fields))
    return changed


outward(ModelPatcher, lambda patcher: handle_of(patcher) if patcher.native is not None else patcher)
