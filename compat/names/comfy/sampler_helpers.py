"""What a run needs before it begins: masks in shape, conditionings as dicts, models in place."""

import uuid

from comfy import model_management, patcher_extension, utils
from comfy.patcher_extension import WrapperExecutor, WrappersMP, get_all_wrappers
from compat.inside.controls import as_control


def prepare_mask(noise_mask, shape, device):
    return utils.reshape_mask(noise_mask, shape).to(device)


def convert_cond(cond):
    """Pairs [embeddings, options] → copies of the options with the embeddings among them."""
    converted = []
    for embeddings, options in cond:
        entry = dict(options)
        model_conds = dict(entry.get("model_conds", {}))
        if embeddings is not None:
            entry["cross_attn"] = embeddings
        if entry.get("control") is not None:
            entry["control"] = as_control(entry["control"])
        entry["model_conds"] = model_conds
        entry["uuid"] = uuid.uuid4()
        converted.append(entry)
    return converted


def get_models_from_cond(cond, model_type):
    found = []
    for entry in cond:
        if model_type in entry:
            value = entry[model_type]
            found += value if isinstance(value, list) else [value]
    return found


def get_hooks_from_cond(cond, full_hooks):
    """Hooks of the entries and of their controls, added to a group."""
    for entry in cond:
        for hooks in (entry.get("hooks"), getattr(entry.get("control"), "extra_hooks", None)):
            for hook in hooks.hooks if hooks is not None else ():
                full_hooks.add(hook)
    return full_hooks


def get_additional_models(conds, dtype):
    """(models that controls and the like bring, bytes they need besides)."""
    controls, others = {}, []
    for cond in conds.values():
        for control in get_models_from_cond(cond, "control"):
            controls[id(control)] = control
        others += get_models_from_cond(cond, "additional_models")
    models, memory = [], 0
    for control in controls.values():
        models += control.get_models()
        memory += control.inference_memory_requirements(dtype)
    patchers = [getattr(model, "patcher", model) for model in [*models, *others]]
    return [model for model in patchers if hasattr(model, "load_device")], memory


def cleanup_additional_models(models):
    for model in models:
        if hasattr(model, "cleanup"):
            model.cleanup()


def estimate_memory(model, noise_shape, conds):
    shape = [noise_shape[0] * 2, *noise_shape[1:]]
    return model.model.memory_required(shape), model.model.memory_required([noise_shape[0], *noise_shape[1:]])


def prepare_sampling(model, noise_shape, conds, model_options=None, force_full_load=False, force_offload=False):
    """(the model in place, conds, additional models)."""
    executor = WrapperExecutor.new_executor(
        _prepare_sampling, get_all_wrappers(WrappersMP.PREPARE_SAMPLING, model_options or {}, is_model_options=True)
    )
    return executor.execute(model, noise_shape, conds, model_options, force_full_load, force_offload)


def _prepare_sampling(model, noise_shape, conds, model_options=None, force_full_load=False, force_offload=False):
    models, memory = get_additional_models(conds, model.model_dtype())
    models += model.get_nested_additional_models()
    needed, least = estimate_memory(model, noise_shape, conds)
    model_management.load_models_gpu(
        [model, *models], memory_required=needed + memory, minimum_memory_required=least + memory
    )
    return model.model, conds, models


def cleanup_models(conds, models):
    cleanup_additional_models(models)
    controls = []
    for cond in conds.values():
        controls += get_models_from_cond(cond, "control")
    cleanup_additional_models(controls)


def prepare_model_patcher(model, conds, model_options):
    """Hooks of the conditionings known to the model; its wrappers and callbacks among the run's options."""
    from comfy.hooks import EnumHookType, HookGroup, create_target_dict

    hooks = HookGroup()
    for cond in conds.values():
        get_hooks_from_cond(cond, hooks)
    if hooks.hooks:
        model.register_all_hook_patches(hooks, create_target_dict(hooks.hooks and EnumHookType.Weight), model_options)
    to = model_options.setdefault("transformer_options", {})
    to["wrappers"] = patcher_extension.merge_nested_dicts(to.get("wrappers", {}), model.wrappers)
    to["callbacks"] = patcher_extension.merge_nested_dicts(to.get("callbacks", {}), model.callbacks)
