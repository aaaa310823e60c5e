"""From the command line to `Settings`: flags, their help, and what is refused before anything starts."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from launch.settings import Caching, Devices, Memory, Network, Packs, Paths, Precision, Previews, Settings
from server.limits import BadLimit, Limits

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0,::"

# Flags that launchers pass and that change nothing here; accepted with a word in the log, so that the launcher works.
WITHOUT_EFFECT = {
    "--dont-print-server": 0,
    "--windows-standalone-build": 0,
    "--disable-xformers": 0,
    "--use-pytorch-cross-attention": 0,
    "--use-split-cross-attention": 0,
    "--use-quad-cross-attention": 0,
    "--disable-api-nodes": 0,
    "--dont-upcast-attention": 0,
    "--force-upcast-attention": 0,
    "--disable-cuda-malloc": 0,
    "--cuda-malloc": 0,
    "--disable-ipex-optimize": 0,
    "--front-end-version": 1,
    "--default-hashing-function": 1,
    "--log-stdout": 0,
}

PRECISIONS: dict[str, dict[str, Precision]] = {
    "network": {
        "--force-fp32": "float32",
        "--force-fp16": "float16",
        "--fp32-unet": "float32",
        "--bf16-unet": "bfloat16",
        "--fp16-unet": "float16",
        "--fp8_e4m3fn-unet": "float8_e4m3fn",
        "--fp8_e5m2-unet": "float8_e5m2",
    },
    "autoencoder": {"--fp32-vae": "float32", "--bf16-vae": "bfloat16", "--fp16-vae": "float16"},
    "text_encoder": {
        "--fp32-text-enc": "float32",
        "--bf16-text-enc": "bfloat16",
        "--fp16-text-enc": "float16",
        "--fp8_e4m3fn-text-enc": "float8_e4m3fn",
        "--fp8_e5m2-text-enc": "float8_e5m2",
    },
}


class Parser(argparse.ArgumentParser):
    """Wrong usage is one line and exit code 2; the page of options comes only when asked for."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (--help lists every option)\n")


def megabytes(text: str) -> int:
    """Bytes from a number of megabytes, which may have a fraction."""
    size = float(text) * 2**20
    if not 0 < size < 2**50:
        raise argparse.ArgumentTypeError(f"expected a size in MB above 0, got {text}")
    return int(size)


def gigabytes(text: str) -> int:
    size = float(text) * 2**30
    if not 0 < size < 2**50:
        raise argparse.ArgumentTypeError(f"expected a size in GB above 0, got {text}")
    return int(size)


def disk_size(text: str) -> int:
    """Bytes from "2G", "500M" or a number of gigabytes."""
    units = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
    size = float(text[:-1]) * units[text[-1].upper()] if text[-1:].upper() in units else float(text) * 2**30
    if not 0 <= size < 2**50:
        raise argparse.ArgumentTypeError(f"expected a size like 2G or 500M, got {text}")
    return int(size)


def days(text: str) -> float:
    number = float(text)
    if not 0 < number < 36500:
        raise argparse.ArgumentTypeError(f"expected a number of days above 0, got {text}")
    return number


def gigabytes_or_none(text: str) -> int:
    """As `gigabytes`; 0 is allowed."""
    return 0 if float(text) == 0 else gigabytes(text)


def seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"expected seconds above 0, got {text}")
    return number


def port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text}")
    return number


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text}")
    return number


def limit(text: str) -> str:
    try:
        Limits.changed([text])
    except BadLimit as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from None
    return text


def add_paths(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where things are")
    group.add_argument(
        "--base-directory", type=Path, metavar="DIR", help="holds models, input, output, temp, user and custom_nodes"
    )
    for name in ("output", "input", "temp", "user"):
        group.add_argument(
            f"--{name}-directory", type=Path, metavar="DIR", help=f"the {name} folder, when not in the base directory"
        )
    group.add_argument(
        "--extra-model-paths-config",
        type=Path,
        metavar="YAML",
        nargs="+",
        action="extend",
        default=[],
        help="more folders with models",
    )


def add_execution(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how graphs run")
    cache = group.add_mutually_exclusive_group()
    cache.add_argument(
        "--cache-ram",
        type=gigabytes,
        nargs="*",
        metavar="GB",
        help="keep results up to this much memory, least recently used go first (the default)",
    )
    cache.add_argument("--cache-classic", action="store_true", help="keep the results of the last prompt only")
    cache.add_argument("--cache-lru", type=positive, metavar="N", help="keep the results of about N nodes")
    cache.add_argument("--cache-none", action="store_true", help="keep nothing between prompts")
    group.add_argument(
        "--cache-disk",
        type=disk_size,
        default=0,
        metavar="SIZE",
        help="also keep conditionings, latents and images on disk, up to this much (2G, 500M), so that they survive a"
        " restart",
    )
    group.add_argument(
        "--cache-disk-days", type=days, default=30.0, metavar="DAYS", help="unused for so long, they go (30)"
    )
    group.add_argument(
        "--preview-method",
        choices=("none", "auto", "latent2rgb", "taesd"),
        default="auto",
        help="how a latent is shown while sampling",
    )
    group.add_argument("--preview-size", type=positive, default=512, metavar="PIXELS", help="longer side of previews")
    group.add_argument(
        "--disable-metadata", action="store_true", help="do not write prompt and workflow into saved files"
    )
    group.add_argument("--disable-all-custom-nodes", action="store_true", help="load no third-party packs")
    group.add_argument(
        "--whitelist-custom-nodes", nargs="+", default=[], metavar="PACK", help="packs to load all the same"
    )
    group.add_argument(
        "--verbose",
        nargs="?",
        const="DEBUG",
        default="INFO",
        type=str.upper,
        choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
        help="how much the log says",
    )
    add_memory(parser)
    precision = parser.add_argument_group("precision (the default is what suits the device)")
    for part, flags in PRECISIONS.items():
        only_one = precision.add_mutually_exclusive_group()
        for flag, name in flags.items():
            only_one.add_argument(
                flag,
                dest=f"{part}_precision",
                action="store_const",
                const=name,
                help=f"{part.replace('_', ' ')} in {name}",
            )
    for flag, values in WITHOUT_EFFECT.items():
        if values:
            parser.add_argument(flag, dest="ignored", action="append", help=argparse.SUPPRESS)
        else:
            parser.add_argument(flag, dest="ignored", action="append_const", const=flag, help=argparse.SUPPRESS)


def add_memory(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("memory (models that do not fit are streamed; nothing has to be set for that)")
    mode = group.add_mutually_exclusive_group()
    mode.add_argument("--gpu-only", action="store_true", help="use all of the card and leave nothing of it to others")
    mode.add_argument("--highvram", action="store_true", help="keep models on the card while there is room")
    mode.add_argument("--normalvram", action="store_true", help="the same; both are the default")
    mode.add_argument("--lowvram", action="store_true", help="let weights stay in half of the free memory only")
    mode.add_argument("--novram", action="store_true", help="let no weights stay: stream all of them in every step")
    mode.add_argument("--cpu", action="store_true", help="run everything on the processor")
    group.add_argument("--cpu-vae", action="store_true", help="run VAEs on the processor")
    group.add_argument("--reserve-vram", type=gigabytes_or_none, metavar="GB", help="leave this much to others")
    group.add_argument("--vram-limit", type=gigabytes, metavar="GB", help="use at most this much of the card")
    group.add_argument(
        "--disable-smart-memory", action="store_true", help="take every model off the card as soon as it has run"
    )
    group.add_argument(
        "--idle-unload",
        type=seconds,
        metavar="SECONDS",
        help="give the memory of all models back after so long",
    )


def memory_from(parsed: argparse.Namespace) -> Memory:
    return Memory(
        share=0.0 if parsed.novram else 0.5 if parsed.lowvram else 1.0,
        keep=not parsed.disable_smart_memory,
        reserve=0 if parsed.gpu_only and parsed.reserve_vram is None else parsed.reserve_vram,
        limit=parsed.vram_limit,
        idle=parsed.idle_unload,
    )


def add_network(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the server")
    group.add_argument(
        "--listen",
        nargs="?",
        default=LOOPBACK,
        const=EVERYWHERE,
        metavar="ADDRESSES",
        help="addresses to bind, with commas; alone: every interface",
    )
    group.add_argument("--port", type=port, default=8188, help="0 takes a free one")
    group.add_argument("--tls-keyfile", type=Path, metavar="FILE", help="serve https, with --tls-certfile")
    group.add_argument("--tls-certfile", type=Path, metavar="FILE", help="serve https, with --tls-keyfile")
    group.add_argument(
        "--enable-cors-header", nargs="?", const="*", metavar="ORIGIN", help="let pages of this origin call the API"
    )
    group.add_argument(
        "--allow-host", nargs="+", default=[], metavar="NAME", help="Host names to accept besides loopback ones"
    )
    group.add_argument("--token", help="what clients must show when the server is bound beyond loopback")
    group.add_argument("--no-auth", action="store_true", help="let everyone in who can reach the port")
    group.add_argument(
        "--max-upload-size", type=megabytes, default=100 * 2**20, metavar="MB", help="largest request body"
    )
    group.add_argument(
        "--limit",
        type=limit,
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=NUMBER",
        help="change a limit of what clients may send, open or queue (docs/protocol.md lists them)",
    )
    group.add_argument("--enable-compress-response-body", action="store_true", help="gzip JSON and text")
    group.add_argument(
        "--on-start",
        choices=("run", "paused", "last"),
        default="last",
        help="what to do with jobs that wait: run them, wait for `resume`, or as it was left (the default)",
    )
    group.add_argument("--multi-user", action="store_true", help="keep settings and files apart by user")
    group.add_argument("--front-end-root", type=Path, metavar="DIR", help="serve another editor")
    browser = group.add_mutually_exclusive_group()
    browser.add_argument("--auto-launch", action="store_true", help="open the page in a browser")
    browser.add_argument("--disable-auto-launch", action="store_true", help="do not (the default)")
    group.add_argument("--quick-test-for-ci", action="store_true", help="start everything, then stop")


def paths_from(parsed: argparse.Namespace, home: Path) -> Paths:
    base: Path = (parsed.base_directory or home).resolve()

    def folder(name: str) -> Path:
        given: Path | None = getattr(parsed, f"{name}_directory")
        # `--temp-directory X` means X/temp: the folder is emptied at start, and must not be one the user cares for.
        if name == "temp" and given is not None:
            return (given / "temp").resolve()
        return (given or base / name).resolve()

    return Paths(
        base=base,
        output=folder("output"),
        input=folder("input"),
        temp=folder("temp"),
        user=folder("user"),
        front_end=getattr(parsed, "front_end_root", None),
        extra_model_paths=tuple(parsed.extra_model_paths_config),
    )


def common_settings(parsed: argparse.Namespace, home: Path) -> dict[str, Any]:
    """The fields of `Settings` that the server and `run` share."""
    if parsed.cache_classic:
        caching = Caching("classic")
    elif parsed.cache_lru is not None:
        caching = Caching("lru", entries=parsed.cache_lru)
    elif parsed.cache_none:
        caching = Caching("none")
    else:
        caching = Caching("ram", budget=parsed.cache_ram[0] if parsed.cache_ram else None)
    caching = replace(caching, disk=parsed.cache_disk, disk_days=parsed.cache_disk_days)
    return {
        "paths": paths_from(parsed, home),
        "caching": caching,
        "packs": Packs(not parsed.disable_all_custom_nodes, tuple(parsed.whitelist_custom_nodes)),
        "devices": Devices(
            parsed.cpu,
            parsed.cpu_vae,
            parsed.network_precision or "auto",
            parsed.autoencoder_precision or "auto",
            parsed.text_encoder_precision or "auto",
        ),
        "memory": memory_from(parsed),
        "previews": Previews(parsed.preview_method, parsed.preview_size),
        "metadata": not parsed.disable_metadata,
        "log_level": parsed.verbose,
        "ignored": tuple(parsed.ignored or ()),
    }


def without_token(arguments: Sequence[str]) -> list[str]:
    """The arguments as others may see them: in the list of processes, and in what the server tells about itself."""
    kept: list[str] = []
    value_follows = False
    for argument in arguments:
        name, sign, _ = argument.partition("=")
        is_token = len(name) > len("--t") and "--token".startswith(name)  # argparse takes shortened names too
        if not value_follows and not is_token:
            kept.append(argument)
        value_follows = is_token and not sign and not value_follows
    return kept


def parse_serve(arguments: Sequence[str], home: Path) -> Settings:
    """Settings of the server. home: the base directory when none is given. Exits with code 2 on wrong usage."""
    parser = Parser(
        prog="main.py",
        description="Heddle: node-based workflows for diffusion images.",
        epilog="`main.py run GRAPH.json` runs a graph without a server, `main.py check-pack DIR` tries a pack's nodes.",
    )
    add_network(parser)
    add_paths(parser)
    add_execution(parser)
    parsed = parser.parse_args(list(arguments))
    addresses = tuple(part.strip() for part in str(parsed.listen).split(",") if part.strip())
    if not addresses:
        parser.error("--listen names no address")
    if (parsed.tls_keyfile is None) != (parsed.tls_certfile is None):
        parser.error("--tls-keyfile and --tls-certfile belong together; one is missing")
    for file in (parsed.tls_keyfile, parsed.tls_certfile, *parsed.extra_model_paths_config):
        if file is not None and not file.is_file():
            parser.error(f"there is no file {file}")
    if parsed.front_end_root is not None and not (parsed.front_end_root / "index.html").is_file():
        parser.error(f"--front-end-root {parsed.front_end_root} holds no index.html")
    network = Network(
        listen=addresses,
        port=parsed.port,
        tls_key=parsed.tls_keyfile,
        tls_certificate=parsed.tls_certfile,
        cors_origin=parsed.enable_cors_header,
        allow_hosts=tuple(parsed.allow_host),
        token=parsed.token,
        auth=not parsed.no_auth,
        max_upload=parsed.max_upload_size,
        limits=Limits.changed(parsed.limit),
        compress=parsed.enable_compress_response_body,
        multi_user=parsed.multi_user,
    )
    return Settings(
        **common_settings(parsed, home),
        network=network,
        open_browser=parsed.auto_launch,
        quick_test=parsed.quick_test_for_ci,
        on_start=parsed.on_start,
        arguments=("main.py", *without_token(arguments)),
    )
