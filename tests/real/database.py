"""A PostgreSQL server of the tests' own: one table, one user who may do everything with it, gone when the tests end."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.gateway.running import free_port

# Statements of the single-user mode, one a line.
_TABLE = b"""\
create table stock (item text primary key, pieces integer not null);
insert into stock values ('bolt', 12), ('nut', 0);
create role clerk login;
grant all on stock to clerk;
"""
_OPTIONS = "-F -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="


def programs() -> Path | None:
    """The directory of `initdb`, `postgres` and `pg_ctl`: on the path, or where Debian keeps the newest."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    kept = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: float(file.parts[-3]))
    return kept[-1].parent if kept else None


@contextmanager
def a_database() -> Iterator[int]:
    """The loopback port of a running server. PostgreSQL refuses to be root, so root has it run by `nobody`."""
    found = programs()
    assert found is not None
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    with tempfile.TemporaryDirectory(prefix="remit-postgres-") as made:
        os.chown(made, pwd.getpwnam(user).pw_uid, -1)
        port, cluster = free_port(), f"{made}/cluster"

        def run(program: str, *arguments: str, given: bytes = b"") -> None:
            become = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": ()} if user == "nobody" else {}
            command = [str(found / program), *arguments]
            subprocess.run(command, input=given, check=True, cwd=made, stdout=subprocess.DEVNULL, **become)

        run("initdb", "--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust", "--username=owner", cluster)
        run("postgres", "--single", "-D", cluster, "postgres", given=_TABLE)
        run("pg_ctl", "start", "-w", "-D", cluster, "-l", f"{made}/log", "-o", _OPTIONS.format(port=port))
        try:
            yield port
        finally:
            run("pg_ctl", "stop", "-w", "-D", cluster, "-m", "immediate")
