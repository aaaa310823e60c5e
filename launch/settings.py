"""The command line, read once into a frozen value. Nobody else reads arguments or the environment.

The flags are those that launchers of this ecosystem already pass; the names of the fields are ours.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from server.limits import Limits

CacheMode = Literal["ram", "classic", "lru", "none"]
OnStart = Literal["run", "paused", "last"]
PreviewMethod = Literal["none", "auto", "latent2rgb", "taesd"]
Precision = Literal["auto", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"]


@dataclass(frozen=True, slots=True)
class Paths:
    """Where things are. base: holds models/, input/, output/, temp/, user/ and custom_nodes/ unless given apart."""

    base: Path
    output: Path
    input: Path
    temp: Path
    user: Path
    front_end: Path | None = None
    extra_model_paths: tuple[Path, ...] = ()

    @property
    def custom_nodes(self) -> Path:
        return self.base / "custom_nodes"

    @property
    def models(self) -> Path:
        return self.base / "models"

    @property
    def state(self) -> Path:
        """Our own records: the job database, the last known catalogue, measured sizes."""
        return self.user / "heddle"


@dataclass(frozen=True, slots=True)
class Network:
    """listen: addresses to bind; port 0 takes a free one. allow_hosts: `Host` names accepted besides loopback ones.
    token: what a client must show when we are bound beyond loopback; None there means one is made and printed.
    max_upload: bytes in one request body."""

    listen: tuple[str, ...] = ("127.0.0.1",)
    port: int = 8188
    tls_key: Path | None = None
    tls_certificate: Path | None = None
    cors_origin: str | None = None
    allow_hosts: tuple[str, ...] = ()
    token: str | None = None
    auth: bool = True
    max_upload: int = 100 * 2**20
    limits: Limits = field(default_factory=Limits)
    compress: bool = False
    multi_user: bool = False


@dataclass(frozen=True, slots=True)
class Caching:
    """What is kept between jobs. entries: for "lru". budget: bytes for "ram"; None means a share of this machine's.
    disk: bytes of results that outlive the program; 0 keeps none. disk_days: unused for so long, they go."""

    mode: CacheMode = "ram"
    entries: int = 0
    budget: int | None = None
    disk: int = 0
    disk_days: float = 30.0


@dataclass(frozen=True, slots=True)
class Packs:
    """Which third-party packs load. whitelist: folder names that load although packs are disabled."""

    enabled: bool = True
    whitelist: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Devices:
    """Where and in which precision models run. "auto" leaves it to the device: float32 on a CPU."""

    cpu: bool = False
    cpu_autoencoder: bool = False
    network: Precision = "auto"
    autoencoder: Precision = "auto"
    text_encoder: Precision = "auto"


@dataclass(frozen=True, slots=True)
class Memory:
    """A card's memory. share: of the room there is, what weights may stay in. keep: whether they stay after use.
    reserve: bytes left to others; None is the usual amount. limit: bytes used at most; None for all there are. idle:
    seconds without a job after which everything is unloaded; None for never."""

    share: float = 1.0
    keep: bool = True
    reserve: int | None = None
    limit: int | None = None
    idle: float | None = None


@dataclass(frozen=True, slots=True)
class Previews:
    """method: how a latent is shown while it is sampled. size: the longer side, pixels."""

    method: PreviewMethod = "auto"
    size: int = 512


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the program was told. on_start: whether jobs that wait are begun at once; "last" is as the last server
    left it. arguments: as given, without the token, for `/system_stats`; ignored: flags without effect here."""

    paths: Paths
    network: Network = field(default_factory=Network)
    caching: Caching = field(default_factory=Caching)
    packs: Packs = field(default_factory=Packs)
    devices: Devices = field(default_factory=Devices)
    memory: Memory = field(default_factory=Memory)
    previews: Previews = field(default_factory=Previews)
    metadata: bool = True
    on_start: OnStart = "last"
    open_browser: bool = False
    quick_test: bool = False
    log_level: str = "INFO"
    arguments: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
