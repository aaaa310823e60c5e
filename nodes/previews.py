"""Pictures of unfinished work, sent while a sampler runs."""

from dataclasses import dataclass
from io import BytesIO
from typing import Literal

from diffusion.handles import Model
from diffusion.images.codec import to_pil
from diffusion.sampling.denoiser import OnStep, Step
from execution.context import Run

JPEG_QUALITY = 90


@dataclass(frozen=True)
class Previews:
    """How a latent is shown while it is sampled. size: the longer side at most, pixels."""

    method: Literal["none", "auto", "latent2rgb", "taesd"] = "auto"
    size: int = 512

    def jpeg(self, model: Model, step: Step) -> bytes | None:
        """The first picture of the batch as far as it is known, from the model's linear preview factors."""
        if self.method == "none" or not model.latent.preview_factors or step.denoised.ndim != 4:
            return None
        picture = to_pil(model.latent.to_preview(step.denoised[:1])[0].nan_to_num(0.0))
        scale = min(model.latent.downscale, self.size / max(picture.size))
        picture = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
        buffer = BytesIO()
        picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
        return buffer.getvalue()


def reporting(model: Model, run: Run, previews: Previews) -> OnStep:
    """Progress and a preview after each step of a sampler; raises when the job is to end."""

    def on_step(step: Step) -> None:
        image = previews.jpeg(model, step)
        if image is not None:
            run.preview(image, "jpeg")
        run.progress(step.index + 1, step.steps)

    return on_step
