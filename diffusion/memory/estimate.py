"""What work takes beside its weights, before anything was measured: by kind, shape and number format. Bytes.

They only decide what is tried first: `measured` corrects them after the first run of each size on a device. That of
sampling is what programs of this field go by, from experience; those of autoencoders were counted tensor by tensor for
the network of SD and SDXL (pretend card: 768 and 643 numbers per pixel), with a fourth more for what kernels take.
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
    return 960 * 64 * height * width * itemsize


def encoding(height: int, width: int, itemsize: int) -> int:
    """An autoencoder's encoder. height, width: in pixels."""
    return 800 * height * width * itemsize


def enlarging(height: int, width: int, scale: int, itemsize: int) -> int:
    """An upscaler of residual dense blocks: the last layers hold three maps of 64 channels at the full size."""
    return 3 * 64 * height * width * scale**2 * itemsize
