"""What work takes beside its weights, before anything was measured: by kind, shape and number format. Bytes.

The numbers are those that programs of this field go by, from experience with kernels that never hold a whole matrix of
attention scores. They only decide what is tried first: `measured` corrects them after the first run of each size.
"""

from torch import nn

from diffusion.memory.leaves import leaves_of


def weights(network: nn.Module) -> int:
    """Known without reading them: tensors that are mapped from a file have their size from its table of contents."""
    return sum(leaf.bytes for leaf in leaves_of(network))


def sampling(factor: float, rows: int, height: int, width: int, itemsize: int, *, whole_scores: bool = False) -> int:
    """One call of a diffusion network. factor: the family's. rows: of the batch, all conditions together. height,
    width: of the latent. whole_scores: attention by a kernel that holds all scores at once."""
    return int(rows * height * width * itemsize * (0.15 if whole_scores else 0.01) * factor * 2**20)


def decoding(height: int, width: int, itemsize: int) -> int:
    """An autoencoder's decoder. height, width: of the latent."""
    return 2178 * 64 * height * width * itemsize


def encoding(height: int, width: int, itemsize: int) -> int:
    """An autoencoder's encoder. height, width: in pixels."""
    return 1767 * height * width * itemsize


def enlarging(height: int, width: int, scale: int, itemsize: int) -> int:
    """An upscaler of residual dense blocks: the last layers hold three maps of 64 channels at the full size."""
    return 3 * 64 * height * width * scale**2 * itemsize
