"""Chroma (lodestones): a Flux made smaller, guided by T5 alone, with a negative prompt."""

from diffusion import latents
from diffusion.checkpoints.joins import Joins, joins_of, table
from diffusion.families.family import Family, Layout, Shapes, always
from diffusion.families.flux import BODY, DEV
from diffusion.families.pixart import T5XXL
from diffusion.families.references import references
from diffusion.models.chroma import Chroma, read_chroma_config

_LAYERS = "distilled_guidance_layer."
MODULES = BODY | table(
    {
        f"{_LAYERS}in_proj": f"{_LAYERS}in_proj",
        f"{_LAYERS}out_proj": f"{_LAYERS}out_proj",
        **{f"{_LAYERS}layers.{{i}}.{n}_layer": f"{_LAYERS}layers.{{i}}.linear_{j}" for n, j in (("in", 1), ("out", 2))},
        f"{_LAYERS}norms.{{i}}.scale": f"{_LAYERS}norms.{{i}}.weight",
        "final_layer.linear": "proj_out",
    }
)


def _from_diffusers(shapes: Shapes) -> Joins | None:
    return joins_of(MODULES, shapes) if f"{_LAYERS}layers.0.linear_1.weight" in shapes else None


CHROMA = Family(
    name="Chroma",
    recognise=read_chroma_config,
    build=Chroma,
    variant=always(DEV, latents.FLUX),
    text_encoders=(T5XXL,),
    loader_types=("chroma",),
    extra=references,
    attends_jointly=True,
    fits_float16=False,
    layouts=(Layout("diffusers", joins=_from_diffusers),),
    modules=MODULES,
    activation_factor=3.1,
)
