# SPDX-License-Identifier: MPL-2.0
"""What people do with a store in PostgreSQL, and what they are told when something is wrong with it."""

import re

from support import programs
from support.waiting import until
from test_jobs import result, send


def store(world, *words, code=0):
    done = world.run(programs.CLI, "store", *words)
    assert done.code == code, done
    return done.error() if code else done.out.decode()


def test_a_store_is_made_once_and_checked(world, server):
    url = server.url(server.new(made=False))
    assert "riposte store init URL" in store(world, "check", url, code=1)
    assert "riposte store init URL" in store(world, "migrate", url, code=1)
    refused = world.run(programs.BROKER, "--store", url)
    assert refused.code == 1 and "riposte store init URL" in refused.error(), refused
    assert "the store is made, of version 3" in store(world, "init", url)
    assert "nothing to do" in store(world, "init", url)
    assert "nothing to do" in store(world, "migrate", url)
    assert "the store is whole: 0 waiting" in store(world, "check", url)


def test_the_two_lines_of_the_handbook_begin_a_store(world, server):
    """Those of docs/OPERATIONS.md, with a server that is there."""
    text = (programs.SOURCE / "docs" / "OPERATIONS.md").read_text()
    init, broker = re.search(r"```\n(riposte store init .*)\n(riposte-broker .*)\n```", text).groups()
    url = server.url(server.new(made=False))
    init, broker = (line.replace("postgresql://db1,db2/jobs", url).split() for line in (init, broker))
    assert init[-1] == broker[-1] == url
    assert world.run(programs.CLI, *init[1:]).code == 0
    started = world.broker(*broker[1:])
    world.builtin(started, "echo")
    assert result(world, started, send(world, started, "echo", "hello")).out == b"hello"


def test_the_check_finds_tables_that_disagree(world, server, database):
    server.sql("INSERT INTO riposte.open VALUES (7, 's', 0, 0, true, NULL, NULL, NULL)", database)
    assert "1 open jobs without content; restore a backup" in store(world, "check", server.url(database), code=1)


def test_another_version_is_refused(world, server, database):
    server.sql("UPDATE riposte.store SET version = 99", database)
    for command in ("check", "migrate", "init"):
        assert "of a newer riposte (version 99" in store(world, command, server.url(database), code=1)
    refused = world.run(programs.BROKER, "--store", server.url(database))
    assert "of a newer riposte (version 99" in refused.error(), refused


def test_copies_are_left_to_the_database(world, server, database):
    assert "pg_dump" in store(world, "backup", server.url(database), world.directory / "copy", code=1)
    assert "autovacuum" in store(world, "compact", server.url(database), code=1)
    assert "no URL" in store(world, "init", "jobs.db", code=1)


def test_a_wrong_url_is_said_in_one_line(world, server):
    wrong = {
        "postgresql://user:secret@/jobs": "has a password, which everybody on this machine could read",
        "postgresql:///jobs?password=secret": "has a password",
        "postgresql:///jobs?nonsense=1": "the URL of the store is wrong",
        server.url("absent"): 'database "absent" does not exist',
        "postgresql:///jobs?host=/nowhere": "cannot be reached",
        "postgresql://127.0.0.1:1,127.0.0.1:2/jobs": "cannot be reached",
    }
    for url, text in wrong.items():
        said = store(world, "check", url, code=1)
        assert text in said and "secret" not in said, said
    refused = world.run(programs.BROKER, "--store", "postgresql://user:secret@/jobs")
    assert refused.code == 1 and "has a password" in refused.error() and b"secret" not in refused.err, refused


def test_a_broker_needs_few_rights(world, server, database):
    """Those of docs/OPERATIONS.md."""
    text = (programs.SOURCE / "docs" / "OPERATIONS.md").read_text()
    grants = re.search(r"```sql\n(CREATE ROLE riposte.*?)```", text, re.DOTALL).group(1)
    server.sql(grants.replace("riposte_broker", f"broker_of_{database}"), database)
    broker = world.broker("--store", server.url(database, f"broker_of_{database}"))
    world.builtin(broker, "echo")
    job = send(world, broker, "echo", "hello", "--keep", "1s")
    assert result(world, broker, job).out == b"hello"
    server.sql(f"SET ROLE broker_of_{database}; SELECT count(*) FROM riposte.store", database)


#: Makes of a store what version 1 made, with one broker for all.
VERSION_1 = """
ALTER TABLE riposte.brokers DROP COLUMN holder, DROP COLUMN listed, DROP COLUMN joined, DROP COLUMN adopted,
  ADD COLUMN last bigint NOT NULL DEFAULT 0;
UPDATE riposte.brokers SET last = (SELECT max (id) FROM riposte.jobs);
ALTER TABLE riposte.open DROP COLUMN owner;
CREATE INDEX open_due ON riposte.open (service, due, id) WHERE listed;
DROP TABLE riposte.counters;
DROP TABLE riposte.ended;
UPDATE riposte.store SET version = 1;
"""


def test_what_version_1_kept_goes_on(world, server, database):
    url = server.url(database)
    broker = world.broker("--store", url)
    job = send(world, broker, "echo", "hello")
    broker.terminate()
    assert broker.wait() == 0
    server.sql(VERSION_1, database)
    refused = world.run(programs.BROKER, "--store", url)
    assert refused.code == 1 and "riposte store migrate" in refused.error(), refused
    server.sql("UPDATE riposte.brokers SET last = 0, lease_until = now() + interval '1 hour'", database)
    assert "a broker has the store; stop it" in store(world, "migrate", url, code=1)
    server.sql("UPDATE riposte.brokers SET lease_until = now()", database)
    assert "the store is up to date, of version 3" in store(world, "migrate", url)
    broker = world.broker("--store", url)
    world.builtin(broker, "echo")
    other = send(world, broker, "echo", "other")
    assert result(world, broker, job).out == b"hello"
    assert result(world, broker, other).out == b"other"
    assert server.sql("SELECT count(*), min (id) FROM riposte.jobs", database) == "2|1"


#: Jobs for nobody, as many as make an index take its time.
MANY = """
INSERT INTO riposte.jobs SELECT id, 'nobody', 'anonymous', 0, 0, 9223372036854775807, 5, 0, 1000, 1000, 0, 0
  FROM generate_series (1000000, 1030000) id;
INSERT INTO riposte.open SELECT id, 'nobody', 0, 0, true, NULL, NULL, NULL, 1
  FROM generate_series (1000000, 1030000) id;
"""


def test_a_store_of_version_2_is_brought_up_to_date_beside_its_broker(world, server, database):
    """As one whose index was left half made, since the first attempt was cut off."""
    url = server.url(database)
    broker = world.broker("--store", url)
    world.worker(broker, "slow", "sh", "-c", "sleep 60")
    send(world, broker, "slow", "runs")
    server.sql(f"{MANY} UPDATE riposte.store SET version = 2; UPDATE pg_index SET indisvalid = false"
               " WHERE indexrelid = 'riposte.open_ran'::regclass", database)
    refused = world.run(programs.BROKER, "--store", url)
    assert refused.code == 1 and "riposte store migrate" in refused.error(), refused
    with server.reader("riposte.open", database):
        migrates = world.start_cli(None, "store", "migrate", url)
        send(world, broker, "echo", "meanwhile")
        assert "brokers that have it go on; ask again" in world.finish(migrates).error()
    assert "the store is up to date, of version 3" in store(world, "migrate", url)
    assert server.sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'riposte.open_ran'::regclass",
                      database) == "t"
    job = send(world, broker, "echo", "goes on")
    broker.kill()
    broker = world.restart(broker, "--store", url)
    world.builtin(broker, "echo")
    assert result(world, broker, job).out == b"goes on"
    until(lambda: server.sql("SELECT count(*) FROM riposte.attempts", database) == "1", 10, "what ran is found")
    until(lambda: int(server.sql("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'open_ran'",
                                 database)) > 0, 10, "by its index")
    assert server.sql("SELECT count(*) FROM riposte.open WHERE listed AND started IS NOT NULL", database) == "0"
