#!/bin/sh
# One of a pair of PostgreSQL servers: the primary, or its synchronous standby, without which no commit is done.
#
# SPDX-License-Identifier: MPL-2.0
#
#     database            run it: the command of its container
#     database state      say what it is
#     database whole      succeed if it has the other beside it
#     database promote    make the standby the primary, once the primary is dead
#     database alone      let the primary commit without the standby, until that is started again
#     database patroni    run it for Patroni, which decides all of that (docker-compose.patroni.yml)
#
# Nobody but a person promotes. What keeps the pair at one primary is a rule: a primary that needs the standby's word
# for a commit also needs it to begin, and ends when the standby has become a primary; only one that was promoted, or
# told to go on alone, needs nobody. So a primary that was killed and comes back becomes the standby of the other.
#
#     NAME    this one's host name          OTHER   the other's
#     FIRST   1: with no data, make a database; otherwise, copy the other's
#
set -e
export PGPASSFILE=/etc/riposte/pgpass # `keys` of docker-compose.yml makes it; Patroni names another here
export PGCONNECT_TIMEOUT=10 # seconds, after which a server that is frozen or cut off does not count
data=/database/data

say ()
{
    echo "database: $*" >&2
}

fail ()
{
    say "$*"
    exit 1
}

# Asks this server.
here ()
{
    psql -XqAt -v ON_ERROR_STOP=1 -h /database -U postgres -d postgres "$@"
}

# Asks the other one.
other ()
{
    psql -XqAt -v ON_ERROR_STOP=1 -h "$OTHER" -U replicator -d postgres "$@"
}

# Succeeds if the other one is a primary.
other_is_primary ()
{
    [ "$(other -c 'SELECT pg_is_in_recovery()' 2> /dev/null)" = f ]
}

# Succeeds if this server, running or not, needs the standby's word.
needs_standby ()
{
    [ ! -e $data/standby.signal ] &&
        tac $data/postgresql.auto.conf | grep -m 1 '^synchronous_standby_names' | grep -q "'.\+'"
}

# password ROLE: of the file that libpq reads
password ()
{
    sed -n "s/^.*:$1://p" "$PGPASSFILE"
}

# roles PSQL...: makes, with this command, the roles and the database of the jobs. The tables are made later, as
# riposte_owner, with `riposte store init`, and come with the rights of the brokers, whose role owns nothing.
roles ()
{
    "$@" << END_OF_SQL
CREATE ROLE replicator LOGIN REPLICATION PASSWORD '$(password replicator)';
GRANT pg_read_all_stats TO replicator;
GRANT ALTER SYSTEM ON PARAMETER synchronous_standby_names TO replicator;
GRANT EXECUTE ON FUNCTION pg_reload_conf TO replicator;
CREATE ROLE riposte_owner LOGIN PASSWORD '$(password riposte_owner)';
CREATE ROLE riposte_broker LOGIN PASSWORD '$(password riposte_broker)';
CREATE DATABASE jobs OWNER riposte_owner TEMPLATE template0 ENCODING UTF8 LOCALE 'C';
\connect jobs
CREATE SCHEMA riposte AUTHORIZATION riposte_owner;
GRANT USAGE ON SCHEMA riposte TO riposte_broker;
ALTER DEFAULT PRIVILEGES FOR ROLE riposte_owner IN SCHEMA riposte
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO riposte_broker;
END_OF_SQL
}

# Makes a database, whole or not at all.
make ()
{
    say "making a database"
    rm -rf $data.new
    initdb -D $data.new -U postgres -E UTF8 --locale=C --data-checksums -A trust --no-instructions > /dev/null
    cat > $data.new/pg_hba.conf << 'END_OF_RULES'
local all          all        trust
host  all          all        all    scram-sha-256
host  replication  replicator all    scram-sha-256
END_OF_RULES
    pg_ctl -D $data.new -w -s -l /database/make.log start -o "-c listen_addresses= -k /database" ||
        { cat /database/make.log >&2; fail "the new database does not start; its words are above"; }
    roles here
    pg_ctl -D $data.new -w -s stop
    mv $data.new $data
}

# Makes this one the other's standby.
copy ()
{
    say "copying the database of $OTHER"
    until rm -rf $data.new && pg_basebackup -h "$OTHER" -U replicator -D $data.new -R -c fast 2> /database/copy.log; do
        sleep 1
    done
    rm -rf $data
    mv $data.new $data
}

# As a standby: once all that the primary has is here, have it ask for this one's word.
join ()
{
    until [ "$(other -c "SELECT 1 FROM pg_stat_replication WHERE application_name = '$NAME'
                         AND state = 'streaming'" 2> /dev/null)" = 1 ] &&
        other -c "ALTER SYSTEM SET synchronous_standby_names = '$NAME'" -c "SELECT pg_reload_conf()" > /dev/null
    do
        sleep 1
    done
    say "every commit of $OTHER is here, too, from now on"
}

# Ends this one if it needs the word of a standby that has become a primary, such as after a pause.
yield ()
{
    while sleep 2; do
        if needs_standby && other_is_primary; then
            say "$OTHER has become the primary; this one begins again as its standby"
            pg_ctl -D $data -m immediate stop > /dev/null
            return
        fi
    done
}

run ()
{
    if [ ! -e $data/PG_VERSION ]; then
        if [ "${FIRST:-}" ] && ! other_is_primary; then make; else copy; fi
    elif needs_standby; then
        say "asking $OTHER, which may have become the primary; if it is gone for good: database alone"
        until standby=$(other -c 'SELECT pg_is_in_recovery()' 2> /dev/null) || ! needs_standby; do
            sleep 1
        done
        [ "$standby" != f ] || copy
    fi
    # Not children of this process, which becomes the server and takes the end of a child for a crash.
    [ ! -e $data/standby.signal ] || (join &)
    (yield &) # a standby, too, may become the primary
    exec postgres -D $data -k /database -c "cluster_name=$NAME" -c 'listen_addresses=*' -c jit=off \
        -c wal_keep_size=256MB -c wal_sender_timeout=5s -c wal_receiver_timeout=5s
}

state ()
{
    here 2> /dev/null << 'END_OF_SQL' || echo "no server yet; what it does is in its log"
SELECT CASE
WHEN pg_is_in_recovery () AND EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')
THEN 'standby'
WHEN pg_is_in_recovery () THEN 'standby without a primary'
WHEN EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync')
THEN 'primary'
WHEN current_setting ('synchronous_standby_names') = '' THEN 'primary, alone'
ELSE 'primary that waits for its standby' END
END_OF_SQL
}

promote ()
{
    [ "$(here -c 'SELECT pg_is_in_recovery()')" = t ] || fail "this is the primary"
    ! other_is_primary || fail "$OTHER is a primary, and alive; stop it first: docker-compose kill $OTHER"
    here -c "ALTER SYSTEM RESET synchronous_standby_names" -c "SELECT pg_reload_conf()" -c "SELECT pg_promote()" \
        > /dev/null
    say "this is the primary now, alone until $OTHER is started again: docker-compose start $OTHER"
}

alone ()
{
    echo "synchronous_standby_names = ''" >> $data/postgresql.auto.conf
    pg_ctl -D $data reload > /dev/null 2>&1 || say "it begins when it is started again"
    say "commits are on this one only until $OTHER is started again, which must not be promoted before"
}

patroni ()
{
    PATRONI_SUPERUSER_PASSWORD=$(password postgres)
    PATRONI_REPLICATION_PASSWORD=$(password replicator)
    export PATRONI_SUPERUSER_PASSWORD PATRONI_REPLICATION_PASSWORD
    exec patroni /etc/patroni.yml
}

case ${1:-run} in
    run | state | promote | alone | patroni) "${1:-run}" ;;
    whole) state=$(state) && { [ "$state" = primary ] || [ "$state" = standby ]; } ;;
    roles) roles psql -Xq -v ON_ERROR_STOP=1 -d "$2" ;; # by Patroni, with the URL of a new server
    *) fail "unknown command $1; see the head of $(command -v database)" ;;
esac
