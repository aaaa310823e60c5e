"""Small things of k-diffusion."""

from pathlib import Path

import torch
from PIL import Image

from comfy.k_diffusion.sampling import append_dims as append_dims


class FolderOfImages(torch.utils.data.Dataset):
    """The pictures directly or deeper in a folder, each as a 1-tuple."""

    IMG_EXTENSIONS = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"}

    def __init__(self, root, transform=None):
        self.root = Path(root)
        self.transform = (lambda image: image) if transform is None else transform
        self.paths = sorted(path for path in self.root.rglob("*") if path.suffix.lower() in self.IMG_EXTENSIONS)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, key):
        with Image.open(self.paths[key]) as image:
            return (self.transform(image.convert("RGB")),)


def n_params(module):
    return sum(parameter.numel() for parameter in module.parameters())
