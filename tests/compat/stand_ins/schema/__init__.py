"""Stands for packs of the newer style that work on models, conditionings and latents."""

from comfy_api.latest import ComfyExtension, io


class Rescale(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            "SchemaRescale",
            category="schema",
            inputs=[io.Model.Input("model"), io.Float.Input("scale", default=1.0, min=0.0, max=10.0)],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, model: io.Model.Type, scale: float) -> io.NodeOutput:
        m = model.clone()

        def cfg(args):
            return args["uncond"] + (args["cond"] - args["uncond"]) * args["cond_scale"] * scale

        m.set_model_sampler_cfg_function(cfg, disable_cfg1_optimization=True)
        return io.NodeOutput(m)


class Encode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            "SchemaEncode",
            category="schema",
            inputs=[io.Clip.Input("clip"), io.String.Input("text", multiline=True, dynamic_prompts=True)],
            outputs=[io.Conditioning.Output()],
        )

    @classmethod
    def execute(cls, clip, text) -> io.NodeOutput:
        return io.NodeOutput(clip.encode_from_tokens_scheduled(clip.tokenize(text)))


class Decode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            "SchemaDecode",
            category="schema",
            inputs=[io.Latent.Input("samples"), io.Vae.Input("vae")],
            outputs=[io.Image.Output()],
        )

    @classmethod
    async def execute(cls, samples, vae) -> io.NodeOutput:
        return io.NodeOutput(vae.decode(samples["samples"]))


class Schema(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [Rescale, Encode, Decode]


async def comfy_entrypoint() -> Schema:
    return Schema()
