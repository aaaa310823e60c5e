"""Several latents that travel as one value."""

import torch


class NestedTensor:
    def __init__(self, tensors):
        self.tensors = list(tensors)
        self.is_nested = True

    def unbind(self):
        return self.tensors

    def _each(self, function):
        return NestedTensor([function(tensor) for tensor in self.tensors])

    def to(self, *args, **kwargs):
        return self._each(lambda tensor: tensor.to(*args, **kwargs))

    def new_ones(self, *args, **kwargs):
        return self._each(lambda tensor: tensor.new_ones(*args, **kwargs))

    def float(self):
        return self._each(torch.Tensor.float)

    def clone(self):
        return self._each(torch.Tensor.clone)

    @property
    def shape(self):
        return self.tensors[0].shape

    @property
    def ndim(self):
        return self.tensors[0].ndim

    @property
    def device(self):
        return self.tensors[0].device

    @property
    def dtype(self):
        return self.tensors[0].dtype

    def _with(self, other, function):
        if isinstance(other, NestedTensor):
            pairs = zip(self.tensors, other.tensors, strict=True)
            return NestedTensor([function(mine, theirs) for mine, theirs in pairs])
        return self._each(lambda tensor: function(tensor, other))

    def __add__(self, other):
        return self._with(other, torch.add)

    def __sub__(self, other):
        return self._with(other, torch.sub)

    def __mul__(self, other):
        return self._with(other, torch.mul)

    def __truediv__(self, other):
        return self._with(other, torch.div)


def cat_nested(tensors, *args, **kwargs):
    columns = zip(*(tensor.tensors for tensor in tensors), strict=True)
    return NestedTensor([torch.cat(column, *args, **kwargs) for column in columns])
