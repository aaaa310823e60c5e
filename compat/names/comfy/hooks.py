"""Hooks: things that act while one conditioning is evaluated, weights of a LoRA above all, by a schedule if wanted."""

import enum
import itertools


class EnumHookMode(enum.Enum):
    MinVram = "minvram"
    MaxSpeed = "maxspeed"


class EnumHookType(enum.Enum):
    Weight = "weight"
    ObjectPatch = "object_patch"
    AdditionalModels = "add_models"
    TransformerOptions = "transformer_options"
    Injections = "add_injections"


class EnumWeightTarget(enum.Enum):
    Model = "model"
    Clip = "clip"


class EnumHookScope(enum.Enum):
    AllConditioning = "all_conditioning"
    HookedOnly = "hooked_only"


class _HookRef:
    pass


def default_should_register(hook, model, model_options, target_dict, registered):
    return True


def create_target_dict(target=None, **kwargs):
    return {"target": target, **kwargs}


class HookKeyframe:
    """From a share of the run on, a strength; for at least so many steps."""

    def __init__(self, strength, start_percent=0.0, guarantee_steps=1):
        self.strength = strength
        self.start_percent = float(start_percent)
        self.start_t = 999999999.9
        self.guarantee_steps = guarantee_steps

    def get_effective_guarantee_steps(self, max_sigma):
        return 0 if self.start_percent > 0 and self.start_t > max_sigma else self.guarantee_steps

    def clone(self):
        twin = HookKeyframe(self.strength, self.start_percent, self.guarantee_steps)
        twin.start_t = self.start_t
        return twin


class HookKeyframeGroup:
    """Keyframes in their order in time; the one that counts moves on with the noise level."""

    def __init__(self):
        self.keyframes = []
        self._current_keyframe = None
        self._current_used_steps = 0
        self._current_index = 0
        self._current_strength = None
        self._curr_t = -1.0

    @property
    def strength(self):
        return 1.0 if self._current_keyframe is None else self._current_keyframe.strength

    def reset(self):
        self._current_index = self._current_used_steps = 0
        self._curr_t = -1.0
        self._current_keyframe = self.keyframes[0] if self.keyframes else None

    def add(self, keyframe):
        self.keyframes = sorted([*self.keyframes, keyframe], key=lambda one: one.start_percent)
        self.reset()

    def is_empty(self):
        return not self.keyframes

    def has_index(self, index):
        return 0 <= index < len(self.keyframes)

    def clone(self):
        twin = HookKeyframeGroup()
        for keyframe in self.keyframes:
            twin.keyframes.append(keyframe.clone())
        twin.reset()
        return twin

    def initialize_timesteps(self, model):
        for keyframe in self.keyframes:
            keyframe.start_t = model.model_sampling.percent_to_sigma(keyframe.start_percent)

    def prepare_current_keyframe(self, curr_t, transformer_options=None):
        """Move on. Returns whether another keyframe counts now."""
        if self.is_empty() or curr_t == self._curr_t:
            return False
        before = self._current_index
        if self._current_used_steps >= self._current_keyframe.guarantee_steps:
            for i in range(before + 1, len(self.keyframes)):
                if self.keyframes[i].start_t < curr_t:
                    break
                self._current_index, self._current_keyframe, self._current_used_steps = i, self.keyframes[i], 0
                if self._current_keyframe.guarantee_steps > 0:
                    break
        self._current_used_steps += 1
        self._curr_t = curr_t
        return self._current_index != before


class Hook:
    def __init__(
        self, hook_type=None, hook_ref=None, hook_id=None, hook_keyframe=None, hook_scope=EnumHookScope.AllConditioning
    ):
        self.hook_type = hook_type
        self.hook_ref = hook_ref or _HookRef()
        self.hook_id = hook_id
        self.hook_keyframe = hook_keyframe or HookKeyframeGroup()
        self.hook_scope = hook_scope
        self.custom_should_register = default_should_register

    @property
    def strength(self):
        return self.hook_keyframe.strength

    def initialize_timesteps(self, model):
        self.reset()
        self.hook_keyframe.initialize_timesteps(model)

    def reset(self):
        self.hook_keyframe.reset()

    def clone(self):
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def should_register(self, model, model_options, target_dict, registered):
        return self.custom_should_register(self, model, model_options, target_dict, registered)

    def add_hook_patches(self, model, model_options, target_dict, registered):
        """Make its weights known to a patcher. Returns whether it belongs there."""
        return False

    def __eq__(self, other):
        return isinstance(other, Hook) and self.hook_ref is other.hook_ref

    def __hash__(self):
        return hash(id(self.hook_ref))


class WeightHook(Hook):
    def __init__(self, strength_model=1.0, strength_clip=1.0):
        super().__init__(EnumHookType.Weight)
        self.weights = None
        self.weights_clip = None
        self.need_weight_init = True
        self._strength_model = strength_model
        self._strength_clip = strength_clip

    @property
    def strength_model(self):
        return self._strength_model * self.strength

    @property
    def strength_clip(self):
        return self._strength_clip * self.strength

    def add_hook_patches(self, model, model_options=None, target_dict=None, registered=None):
        from comfy import lora

        strength = self._strength_clip if model.is_clip else self._strength_model
        weights = self.weights_clip if model.is_clip else self.weights
        if strength == 0 or weights is None:
            return False
        if self.need_weight_init:
            names = (
                lora.model_lora_keys_clip(model.model, {})
                if model.is_clip
                else lora.model_lora_keys_unet(model.model, {})
            )
            weights = lora.load_lora(weights, names, log_missing=False)
        model.add_hook_patches(self, weights, strength)
        return True


class ObjectPatchHook(Hook):
    def __init__(self, object_patches=None, hook_scope=EnumHookScope.AllConditioning):
        super().__init__(EnumHookType.ObjectPatch, hook_scope=hook_scope)
        self.object_patches = object_patches


class AdditionalModelsHook(Hook):
    def __init__(self, models=None, key=None):
        super().__init__(EnumHookType.AdditionalModels)
        self.models = models or []
        self.key = key


class TransformerOptionsHook(Hook):
    """Options that the network's blocks find while the conditioning is evaluated."""

    def __init__(self, transformers_dict=None, hook_scope=EnumHookScope.AllConditioning):
        super().__init__(EnumHookType.TransformerOptions, hook_scope=hook_scope)
        self.transformers_dict = transformers_dict

    def on_apply_hooks(self, model, transformer_options):
        return self.transformers_dict or {}


class InjectionsHook(Hook):
    def __init__(self, key=None, injections=None, hook_scope=EnumHookScope.AllConditioning):
        super().__init__(EnumHookType.Injections, hook_scope=hook_scope)
        self.key = key
        self.injections = injections


WrapperHook = TransformerOptionsHook


class HookGroup:
    """Hooks in order, each once."""

    def __init__(self):
        self.hooks = []
        self._hook_dict = {}

    @property
    def driver(self):
        """A conditioning with hooks is run by the loop that knows them."""
        from compat.inside.driver import drive

        return drive

    def __len__(self):
        return len(self.hooks)

    def add(self, hook):
        if hook not in self.hooks:
            self.hooks.append(hook)
            self._hook_dict.setdefault(hook.hook_type, []).append(hook)

    def remove(self, hook):
        if hook in self.hooks:
            self.hooks.remove(hook)
            self._hook_dict[hook.hook_type].remove(hook)

    def get_type(self, hook_type):
        return self._hook_dict.get(hook_type, [])

    def contains(self, hook):
        return hook in self.hooks

    def is_subset_of(self, other):
        return all(other.contains(hook) for hook in self.hooks)

    def new_with_common_hooks(self, other):
        common = HookGroup()
        for hook in self.hooks:
            if other.contains(hook):
                common.add(hook.clone())
        return common

    def clone(self):
        twin = HookGroup()
        for hook in self.hooks:
            twin.add(hook.clone())
        return twin

    def clone_and_combine(self, other):
        twin = self.clone()
        for hook in other.hooks if other is not None else ():
            twin.add(hook.clone())
        return twin

    def set_keyframes_on_hooks(self, hook_kf):
        for hook in self.hooks:
            hook.hook_keyframe = HookKeyframeGroup() if hook_kf is None else hook_kf.clone()

    def get_hooks_for_clip_schedule(self):
        """[((start, end) as shares, [(hook, its keyframe)])] of the weights that the text encoder is given."""
        hooks = self.get_type(EnumHookType.Weight)
        starts = sorted({0.0, *(frame.start_percent for hook in hooks for frame in hook.hook_keyframe.keyframes)})
        found = []
        for start, end in itertools.pairwise([*starts, 1.0]):
            pairs = []
            for hook in hooks:
                frames = [frame for frame in hook.hook_keyframe.keyframes if frame.start_percent <= start]
                pairs.append((hook, frames[-1] if frames else None))
            found.append(((start, end), pairs))
        return found

    def initialize_timesteps(self, model):
        for hook in self.hooks:
            hook.initialize_timesteps(model)

    def reset(self):
        for hook in self.hooks:
            hook.reset()

    @staticmethod
    def combine_all_hooks(hooks_list, require_count=0):
        """One group of several; None where there are none, or fewer than wanted."""
        present = [hooks for hooks in hooks_list if hooks is not None]
        if len(present) < max(require_count, 1):
            return None
        if len(present) == 1:
            return present[0]
        made = HookGroup()
        for hooks in present:
            for hook in hooks.hooks:
                made.add(hook.clone())
        return made


def create_transformer_options_from_hooks(model, hooks, transformer_options=None):
    return {}


def create_hook_lora(lora, strength_model, strength_clip):
    group = HookGroup()
    hook = WeightHook(strength_model, strength_clip)
    hook.weights = hook.weights_clip = lora
    group.add(hook)
    return group


def create_hook_model_as_lora(weights_model, weights_clip, strength_model, strength_clip):
    group = HookGroup()
    hook = WeightHook(strength_model, strength_clip)
    hook.need_weight_init = False
    hook.weights = None if weights_model is None else {key: ("model_as_lora", (w,)) for key, w in weights_model.items()}
    hook.weights_clip = (
        None if weights_clip is None else {key: ("model_as_lora", (w,)) for key, w in weights_clip.items()}
    )
    group.add(hook)
    return group


def get_patch_weights_from_model(model, discard_model_sampling=True):
    if model is None:
        return None
    return {
        key: weight for key, weight in model.model_state_dict().items()
        if not (discard_model_sampling and key.startswith("model_sampling."))
    }  # fmt: skip


def load_hook_lora_for_models(model, clip, lora, strength_model, strength_clip):
    """(model, clip, hooks) with the LoRA attached to the hooks alone."""
    return model, clip, create_hook_lora(lora, strength_model, strength_clip)


def set_hooks_for_conditioning(cond, hooks, append_hooks=True, cache=None):
    """A copy with the hooks on every entry, beside those it has."""
    if hooks is None:
        return cond
    changed = []
    for embeddings, options in cond:
        options = dict(options)
        mine = options.get("hooks") if append_hooks else None
        options["hooks"] = hooks if mine is None else HookGroup.combine_all_hooks([mine, hooks])
        changed.append([embeddings, options])
    return changed


def set_timesteps_for_conditioning(cond, timestep_range):
    if timestep_range is None:
        return cond
    start, end = timestep_range
    return [[embeddings, {**options, "start_percent": start, "end_percent": end}] for embeddings, options in cond]


def set_mask_for_conditioning(cond, mask, set_cond_area, strength):
    if mask is None:
        return cond
    if mask.ndim < 3:
        mask = mask.unsqueeze(0)
    more = {"mask": mask, "set_area_to_bounds": set_cond_area != "default", "mask_strength": strength}
    return [[embeddings, {**options, **more}] for embeddings, options in cond]


def combine_conditioning(conds):
    return [entry for cond in conds for entry in cond]


def combine_with_new_conds(conds, new_conds):
    return [[*old, *new] for old, new in zip(conds, new_conds, strict=True)]


def set_conds_props(conds, strength, set_cond_area, mask=None, hooks=None, timesteps_range=None, append_hooks=True):
    return [
        set_timesteps_for_conditioning(
            set_mask_for_conditioning(set_hooks_for_conditioning(cond, hooks, append_hooks), mask, set_cond_area, strength),
            timesteps_range,
        )
        for cond in conds
    ]  # fmt: skip


def set_conds_props_and_combine(
    conds,
    new_conds,
    strength=1.0,
    set_cond_area="default",
    mask=None,
    hooks=None,
    timesteps_range=None,
    append_hooks=True,
):
    made = set_conds_props(new_conds, strength, set_cond_area, mask, hooks, timesteps_range, append_hooks)
    return combine_with_new_conds(conds, made)


def set_default_conds_and_combine(conds, new_conds, hooks=None, timesteps_range=None, append_hooks=True):
    made = set_conds_props(new_conds, 1.0, "default", None, hooks, timesteps_range, append_hooks)
    made = [[[embeddings, {**options, "default": True}] for embeddings, options in cond] for cond in made]
    return combine_with_new_conds(conds, made)
