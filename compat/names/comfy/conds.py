"""What a network is given beside the latent, each kind with its way of joining a batch."""

import math

import torch

from diffusion.images.batch import repeat_to


class CONDRegular:
    """A tensor with the batch first; joined where shapes agree."""

    def __init__(self, cond):
        self.cond = cond

    def _copy_with(self, cond):
        return type(self)(cond)

    def process_cond(self, batch_size, area=None, device=None, **kwargs):
        """For a batch of this size, on the device."""
        cond = repeat_to(self.cond, batch_size)
        return self._copy_with(cond if device is None else cond.to(device))

    def can_concat(self, other):
        return self.cond.shape == other.cond.shape and self.cond.device == other.cond.device

    def concat(self, others):
        return torch.cat([self.cond, *(other.cond for other in others)])

    def size(self):
        return list(self.cond.size())


class CONDNoiseShape(CONDRegular):
    """A tensor of the latent's height and width; follows its area. area: sizes, then offsets."""

    def process_cond(self, batch_size, area=None, device=None, **kwargs):
        data = self.cond
        if area is not None:
            dims = len(area) // 2
            for d in range(dims):
                data = data.narrow(d + 2, area[d + dims], area[d])
        return self._copy_with(repeat_to(data, batch_size).to(device or data.device))


class CONDCrossAttn(CONDRegular):
    """Tokens: shorter ones are repeated whole, which attention does not notice."""

    def can_concat(self, other):
        mine, theirs = self.cond.shape, other.cond.shape
        if mine == theirs:
            return self.cond.device == other.cond.device
        if mine[0] != theirs[0] or mine[2:] != theirs[2:]:
            return False
        return math.lcm(mine[1], theirs[1]) // min(mine[1], theirs[1]) <= 4

    def concat(self, others):
        tensors = [self.cond, *(other.cond for other in others)]
        length = math.lcm(*(tensor.shape[1] for tensor in tensors))
        return torch.cat([tensor.repeat(1, length // tensor.shape[1], 1) for tensor in tensors])


class CONDConstant(CONDRegular):
    """A value that is the same for the whole batch."""

    def process_cond(self, batch_size, area=None, device=None, **kwargs):
        return self._copy_with(self.cond)

    def can_concat(self, other):
        return self.cond is other.cond or bool(self.cond == other.cond)

    def concat(self, others):
        return self.cond

    def size(self):
        return [1]


class CONDList(CONDRegular):
    """A list of tensors, joined one by one."""

    def process_cond(self, batch_size, area=None, device=None, **kwargs):
        return self._copy_with([repeat_to(item, batch_size).to(device or item.device) for item in self.cond])

    def can_concat(self, other):
        return len(self.cond) == len(other.cond) and all(
            a.shape == b.shape for a, b in zip(self.cond, other.cond, strict=True)
        )

    def concat(self, others):
        return [torch.cat([item, *(other.cond[i] for other in others)]) for i, item in enumerate(self.cond)]

    def size(self):
        return [len(self.cond), sum(item.numel() for item in self.cond)]
