"""Layers that packs build networks of: without initialising their weights, and casting them as they are used."""

import torch

from comfy.model_management import cast_to as _cast


def cast_to(weight, dtype=None, device=None, non_blocking=False, copy=False, stream=None):
    return _cast(weight, dtype, device, non_blocking, copy, stream)


def cast_to_input(weight, input, non_blocking=False, copy=True):
    """In the dtype and on the device of another tensor."""
    return _cast(weight, input.dtype, input.device, non_blocking, copy)


def cast_bias_weight(s, input=None, dtype=None, device=None, bias_dtype=None, offloadable=False):
    """(weight, bias) of a layer as a computation wants them."""
    if input is not None:
        dtype = dtype or input.dtype
        device = device or input.device
    bias = None if s.bias is None else _apply(s.bias_function, _cast(s.bias, bias_dtype or dtype, device))
    weight = None if s.weight is None else _apply(s.weight_function, _cast(s.weight, dtype, device))
    return (weight, bias, None) if offloadable else (weight, bias)


def uncast_bias_weight(s, weight, bias, offload_stream):
    pass


def _apply(functions, tensor):
    for function in functions or ():
        tensor = function(tensor)
    return tensor


class CastWeightBiasOp:
    comfy_cast_weights = False
    weight_function = []
    bias_function = []


def scaled_dot_product_attention(q, k, v, *args, **kwargs):
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, *args, **kwargs)


def _layer(base, call):
    """base: a layer of torch. call(layer, input, weight, bias, *more): what it computes, of given weights."""

    class Layer(base, CastWeightBiasOp):
        def reset_parameters(self):
            return None

        def forward_comfy_cast_weights(self, input, *args, **kwargs):
            weight, bias = cast_bias_weight(self, input)
            return call(self, input, weight, bias, *args, **kwargs)

        def forward(self, *args, **kwargs):
            if self.comfy_cast_weights or self.weight_function or self.bias_function:
                return self.forward_comfy_cast_weights(*args, **kwargs)
            return super().forward(*args, **kwargs)

    Layer.__name__ = Layer.__qualname__ = base.__name__
    return Layer


_F = torch.nn.functional


def _conv(layer, x, weight, bias, **_):
    return layer._conv_forward(x, weight, bias)


def _transposed(function):
    def call(layer, x, weight, bias, output_size=None):
        dims = {_F.conv_transpose1d: 1, _F.conv_transpose2d: 2}[function]
        padding = layer._output_padding(
            x, output_size, layer.stride, layer.padding, layer.kernel_size, dims, layer.dilation
        )
        return function(x, weight, bias, layer.stride, layer.padding, padding, layer.groups, layer.dilation)

    return call


class disable_weight_init:
    """Layers whose weights are what a file brings."""

    Linear = _layer(torch.nn.Linear, lambda layer, x, weight, bias: _F.linear(x, weight, bias))
    Conv1d = _layer(torch.nn.Conv1d, _conv)
    Conv2d = _layer(torch.nn.Conv2d, _conv)
    Conv3d = _layer(torch.nn.Conv3d, _conv)
    GroupNorm = _layer(
        torch.nn.GroupNorm, lambda layer, x, weight, bias: _F.group_norm(x, layer.num_groups, weight, bias, layer.eps)
    )
    LayerNorm = _layer(
        torch.nn.LayerNorm,
        lambda layer, x, weight, bias: _F.layer_norm(x, layer.normalized_shape, weight, bias, layer.eps),
    )
    ConvTranspose1d = _layer(torch.nn.ConvTranspose1d, _transposed(_F.conv_transpose1d))
    ConvTranspose2d = _layer(torch.nn.ConvTranspose2d, _transposed(_F.conv_transpose2d))

    class RMSNorm(torch.nn.RMSNorm, CastWeightBiasOp):
        bias = None

        def reset_parameters(self):
            self.bias = None

        def forward_comfy_cast_weights(self, input):
            weight = None if self.weight is None else cast_bias_weight(self, input)[0]
            return _F.rms_norm(input, self.normalized_shape, weight, self.eps)

        def forward(self, input):
            return self.forward_comfy_cast_weights(input) if self.comfy_cast_weights else super().forward(input)

    class Embedding(torch.nn.Embedding, CastWeightBiasOp):
        bias = None

        def reset_parameters(self):
            self.bias = None

        def forward(self, input, out_dtype=None):
            made = super().forward(input)
            return made if out_dtype is None else made.to(out_dtype)

    @classmethod
    def conv_nd(cls, dims, *args, **kwargs):
        kinds = {2: cls.Conv2d, 3: cls.Conv3d}
        if dims not in kinds:
            raise ValueError(f"convolutions have 2 or 3 dimensions here, not {dims}")
        return kinds[dims](*args, **kwargs)


def _casting(kind):
    return type(kind.__name__, (kind,), {"comfy_cast_weights": True, "__qualname__": f"manual_cast.{kind.__name__}"})


class manual_cast(disable_weight_init):
    """The same, casting weights to what comes in."""


for _name, _kind in list(vars(disable_weight_init).items()):
    if isinstance(_kind, type):
        setattr(manual_cast, _name, _casting(_kind))


class fp8_ops(manual_cast):
    """8-bit weights are cast like all others here."""


def fp8_linear(self, input):
    return None


def scaled_fp8_ops(fp8_matrix_mult=False, scale_input=False, override_dtype=None):
    return manual_cast


def pick_operations(
    weight_dtype, compute_dtype, load_device=None, disable_fast_fp8=False, fp8_optimizations=False, scaled_fp8=None,
    model_config=None,
):  # fmt: skip
    """The layers for weights of one dtype that are computed in another."""
    return disable_weight_init if compute_dtype is None or weight_dtype == compute_dtype else manual_cast
