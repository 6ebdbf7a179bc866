# SPDX-License-Identifier: MPL-2.0
"""The way to the database: TLS by libpq's own options, with a certificate that the test makes, and a password that no
list of processes shows."""

import os
import pathlib
import shutil
import subprocess

import pytest

from server import NOBODY
from support import programs
from test_jobs import result, send

PASSWORD = "never-on-a-command-line"
ROLE = "keeper"


def make_certificate(folder, name):
    """A certificate that signs itself, for a server at localhost."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"],
                   check=True, capture_output=True, timeout=60)
    return folder / f"{name}.crt"


@pytest.fixture(scope="module")
def secured(pair, tmp_path_factory):
    """The pair's primary takes one role over TLS only, with its password; the name of a database with a store, and the
    certificate."""
    server, data, folder = pair.primary, pair.primary.directory / "data", tmp_path_factory.mktemp("certificates")
    certificate = make_certificate(folder, "server")
    for suffix in ("crt", "key"):
        path = pathlib.Path(shutil.copy(folder / f"server.{suffix}", data))
        path.chmod(0o600)
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
    rules = data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"hostssl all {ROLE} all scram-sha-256\nhost all {ROLE} all reject\n" + before)
    pair.configure("SET ssl = on")
    database = pair.new()
    server.sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'; GRANT USAGE ON SCHEMA riposte TO {ROLE};"
               f" GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA riposte TO {ROLE}", database)
    yield database, certificate
    server.sql(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}", database)
    rules.write_text(before)
    pair.configure("RESET ssl")


def url(pair, database, certificate, host="localhost", more=""):
    return (f"postgresql://{ROLE}@{host}:{pair.primary.port}/{database}"
            f"?sslmode=verify-full&sslrootcert={certificate}{more}")


def check(world, address):
    """What `riposte store check` says of it, in one line."""
    said = world.run(programs.CLI, "store", "check", address)
    assert PASSWORD.encode() not in said.out + said.err
    return said.out.decode() if said.code == 0 else said.error()


def test_only_the_server_with_the_certificate_is_believed(world, pair, secured, tmp_path):
    database, certificate = secured
    other = make_certificate(tmp_path, "other")
    world.environment["PGPASSWORD"] = PASSWORD
    assert "the store is whole" in check(world, url(pair, database, certificate))
    assert "certificate verify failed" in check(world, url(pair, database, other))
    assert 'does not match host name "127.0.0.1"' in check(world, url(pair, database, certificate, host="127.0.0.1"))
    bare = url(pair, database, certificate).replace("verify-full", "disable")
    assert "pg_hba.conf rejects connection" in check(world, bare)
    world.environment["PGPASSWORD"] = "wrong"
    assert "password authentication failed" in check(world, url(pair, database, certificate))


def passfile(world, address):
    path = world.directory / "passwords"
    path.write_text(f"*:*:*:{ROLE}:{PASSWORD}\n")
    path.chmod(0o600)
    return f"{address}&passfile={path}"


def service(world, address):
    """All that the URL would say, and the password, from a service file."""
    path = world.directory / "services"
    where, settings = address.removeprefix("postgresql://").split("?")
    user, host, port, database = where.replace("@", "/").replace(":", "/").split("/")
    path.write_text("[jobs]\n" + "\n".join([f"user={user}", f"host={host}", f"port={port}", f"dbname={database}",
                                            f"password={PASSWORD}", *settings.split("&")]) + "\n")
    world.environment["PGSERVICEFILE"] = str(path)
    return "postgresql://?service=jobs"


def environment(world, address):
    world.environment["PGPASSWORD"] = PASSWORD
    return address


@pytest.mark.parametrize("way", [passfile, service, environment])
def test_a_broker_has_its_password_from_elsewhere(world, pair, secured, way):
    database, certificate = secured
    broker = world.broker("--store", way(world, url(pair, database, certificate)))
    world.builtin(broker, "echo")
    assert result(world, broker, send(world, broker, "echo", "hello")).out == b"hello"
    assert pair.primary.sql("SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                            f" WHERE usename = '{ROLE}'", database) == "t"
    assert PASSWORD.encode() not in pathlib.Path(f"/proc/{broker.pid}/cmdline").read_bytes()
    assert PASSWORD not in broker.log()
