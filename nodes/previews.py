"""Pictures of unfinished work, sent while a sampler runs."""

from dataclasses import dataclass, replace
from io import BytesIO
from typing import Literal, get_args

from PIL import Image

from diffusion.handles import Model
from diffusion.inspect.preview import Previewer, factor_previewer, taesd_previewer
from diffusion.sampling.denoiser import OnStep, Step
from diffusion.store import ModelStore
from execution.context import Run
from storage.folders import Folders

JPEG_QUALITY = 90

Method = Literal["none", "auto", "latent2rgb", "taesd"]


@dataclass(frozen=True)
class Previews:
    """How a latent is shown while it is sampled.

    method: "auto" is the quick way, by linear factors; "taesd" a tiny decoder, where its file is in `vae_approx`.
    size: the longer side at most, pixels. folders, store: for finding and loading tiny decoders.
    """

    method: Method = "auto"
    size: int = 512
    folders: Folders | None = None
    store: ModelStore | None = None

    def asked_for(self, method: object) -> "Previews":
        """These, by the method a job asks for in its `extra_data.preview_method`, if it is one."""
        known: tuple[Method, ...] = get_args(Method)
        return next((replace(self, method=one) for one in known if one == method), self)

    def of(self, model: Model) -> Previewer | None:
        """What shows this model's latents; None for nothing."""
        if self.method == "none":
            return None
        if self.method == "taesd" and self.folders and self.store and model.latent.taesd:
            names = [name for name in self.folders.files("vae_approx") if name.startswith(model.latent.taesd)]
            path = self.folders.find("vae_approx", names[0]) if names else None
            if path is not None:
                return taesd_previewer(self.store.preview_decoder(path), self.size)
        return factor_previewer(model.latent, self.size) if model.latent.preview_factors else None

    def jpeg(self, previewer: Previewer, model: Model, step: Step) -> bytes:
        """The first picture of the batch as far as it is known."""
        picture = Image.fromarray(previewer(step.denoised[:1])[0].numpy())
        full = max(step.denoised.shape[-2:]) * model.latent.downscale
        factor = min(full, self.size) / max(picture.size)
        picture = picture.resize((max(1, round(picture.width * factor)), max(1, round(picture.height * factor))))
        buffer = BytesIO()
        picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
        return buffer.getvalue()


def reporting(model: Model, run: Run, previews: Previews) -> OnStep:
    """Progress and a preview after each step of a sampler; raises when the job is to end."""
    previews = previews.asked_for(run.extra.get("preview_method"))
    previewer = previews.of(model)

    def on_step(step: Step) -> None:
        if previewer is not None:
            run.preview(previews.jpeg(previewer, model, step), "jpeg")
        run.progress(step.index + 1, step.steps)

    return on_step
