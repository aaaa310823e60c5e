"""Compiling the networks of a MODEL."""

from typing import Any

import torch


def set_torch_compile_wrapper(
    model: Any,
    backend: str,
    options: dict[str, Any] | None = None,
    mode: str | None = None,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    keys: tuple[str, ...] | list[str] = ("diffusion_model",),
    *args: Any,
    **kwargs: Any,
) -> None:
    """Let the parts of a MODEL that `keys` name run compiled, until the patcher is let go.

    The other arguments are those of `torch.compile`."""
    how: dict[str, Any] = {"backend": backend, "fullgraph": fullgraph, "dynamic": dynamic}
    how.update({"options": options} if options else {"mode": mode})
    for key in keys:
        model.add_object_patch(key, torch.compile(model.get_model_object(key), **how))
