"""Where one platform lives: its folders, its ports, its DSNs."""

import contextlib
import json
import secrets
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from plumbline_kit.addresses import HOST, PORTS
from plumbline_local.locks import locked
from plumbline_local.settings import ROOT, LocalSettings


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of one platform. Two layouts share nothing but the cache and the encoder's model."""

    state: Path
    ports: Mapping[str, int]
    cache: Path
    models: Path
    inherited: Mapping[str, str] = field(repr=False)
    durable: bool = True
    """False skips PostgreSQL's fsync: data still outlives a killed process, but not a power cut."""

    @classmethod
    def local(cls, state: Path | None = None) -> "Layout":
        """The developer's own platform: the port table, and *state* or `PLUMBLINE_STATE` or `.plumbline`."""
        settings = LocalSettings.from_env()
        place = (state or settings.state).absolute()
        return cls(place, PORTS, settings.cache, place / "models", settings.inherited)

    @classmethod
    def temporary(cls, path: Path) -> "Layout":
        """A platform for a test run under *path*, on ports that were free a moment ago."""
        settings = LocalSettings.from_env()
        models = settings.state / "models"
        return cls(path.absolute(), free_ports(*PORTS), settings.cache, models, settings.inherited, durable=False)

    @classmethod
    def loads(cls, text: str) -> "Layout":
        """The layout that `dumps` wrote, with this process's environment."""
        content = json.loads(text)
        state, cache, models = (Path(content[name]) for name in ("state", "cache", "models"))
        inherited = LocalSettings.from_env().inherited
        return cls(state, content["ports"], cache, models, inherited, durable=content["durable"])

    def dumps(self) -> str:
        """This layout for another process, as JSON; the environment is left out."""
        places = {"state": str(self.state), "cache": str(self.cache), "models": str(self.models)}
        return json.dumps({**places, "ports": dict(self.ports), "durable": self.durable})

    def address(self, part: str) -> str:
        """Host and port of *part*."""
        return f"{HOST}:{self.ports[part]}"

    def log(self, part: str) -> Path:
        """The file that takes everything *part* prints."""
        return self.state / "logs" / f"{part}.log"

    def lock(self, name: str) -> Path:
        """The file of a lock between this layout's processes."""
        return self.state / "run" / f"{name}.lock"

    def data(self, part: str) -> Path:
        """The folder that *part* keeps its data in."""
        return self.state / part

    @property
    def encoder(self) -> Path:
        """The folder of the text encoder's model."""
        return self.models / "encoder"

    @property
    def auth(self) -> Path:
        """The folder of the local issuer's key, key set and developer token."""
        return self.state / "auth"

    @property
    def postgres_password_file(self) -> Path:
        """The password of PostgreSQL's superuser; its first reader makes it."""
        return self.state / "postgres.password"

    @property
    def processes(self) -> Path:
        """The file in which a supervisor records its processes."""
        return self.state / "run" / "processes.json"

    @property
    def release_file(self) -> Path:
        """The release that answers questions locally."""
        return ROOT / "deploy" / "local" / "release.toml"

    def postgres_dsn(self, database: str = "postgres") -> str:
        """DSN of *database*; makes the password at the first call."""
        return f"postgresql://postgres:{self._password()}@{self.address('postgres')}/{database}"

    def _password(self) -> str:
        file = self.postgres_password_file
        if not file.exists():
            with locked(self.lock("password")):
                if not file.exists():
                    write_private(file, secrets.token_urlsafe(18))
        return file.read_text(encoding="ascii").strip()


def write_private(file: Path, text: str) -> None:
    """Write *text* so that only this user can read it; readers see the old or the new text, never half."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)


def free_ports(*names: str) -> dict[str, int]:
    """A port for each of *names* that nobody listens on now. Another process may still take it.

    They lie below the range that the system gives to outgoing connections: a client that tries again and again to
    reach a port of that range while its server restarts can end up connected to itself, and hold the port.
    """
    with ExitStack() as stack:
        return {name: _bind_some_port(stack.enter_context(socket.socket())) for name in names}


def _bind_some_port(probe: socket.socket) -> int:
    while True:
        port = 15_000 + secrets.randbelow(15_000)
        with contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
