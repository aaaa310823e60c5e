"""The command line by the names that third-party packs read."""

from typing import Any

from launch.settings import Settings


def flags(settings: Settings) -> dict[str, Any]:
    """Flag → value, as `comfy.cli_args.args` shows them."""
    network, paths = settings.network, settings.paths
    return {
        "listen": ",".join(network.listen),
        "port": network.port,
        "tls_keyfile": None if network.tls_key is None else str(network.tls_key),
        "tls_certfile": None if network.tls_certificate is None else str(network.tls_certificate),
        "enable_cors_header": network.cors_origin,
        "max_upload_size": network.max_upload / 2**20,
        "multi_user": network.multi_user,
        "base_directory": str(paths.base),
        "output_directory": str(paths.output),
        "input_directory": str(paths.input),
        "temp_directory": str(paths.temp),
        "user_directory": str(paths.user),
        "extra_model_paths_config": [[str(file)] for file in paths.extra_model_paths],
        "front_end_root": None if paths.front_end is None else str(paths.front_end),
        "cpu": settings.devices.cpu,
        "cpu_vae": settings.devices.cpu_autoencoder,
        "gpu_only": False,
        "highvram": False,
        "normalvram": False,
        "lowvram": settings.memory.share == 0.5,
        "novram": settings.memory.share == 0.0,
        "reserve_vram": None if settings.memory.reserve is None else settings.memory.reserve / 2**30,
        "disable_smart_memory": not settings.memory.keep,
        "preview_method": settings.previews.method,
        "preview_size": settings.previews.size,
        "disable_metadata": not settings.metadata,
        "disable_all_custom_nodes": not settings.packs.enabled,
        "whitelist_custom_nodes": list(settings.packs.whitelist),
        "cache_classic": settings.caching.mode == "classic",
        "cache_lru": settings.caching.entries if settings.caching.mode == "lru" else 0,
        "cache_none": settings.caching.mode == "none",
        "force_fp32": settings.devices.network == "float32",
        "force_fp16": settings.devices.network == "float16",
        "verbose": settings.log_level,
    }
