#!/bin/sh
# Makes the keys of docker-compose.yml, once: a key that exists stays as it is, and a revoked key
# stays revoked. Each service gets its own secret key and no other.
#
# SPDX-License-Identifier: MPL-2.0
#
#     topology-keys RULES
#
# /keys/SERVICE are the volumes that the services mount at /etc/riposte.

set -e
broker=/keys/broker

# make NAME DIRECTORY: makes a pair of keys
make ()
{
    [ -e "$2/$1.key_secret" ] || riposte keys new "$1" --dir "$2" --quiet
}

# admit NAME DIRECTORY: makes a pair of keys and authorizes it, and puts the broker's public key
# beside it
admit ()
{
    [ ! -e "$2/$1.admitted" ] || return 0
    make "$1" "$2"
    riposte keys authorize "$2/$1.key" --principal "$1" --into "$broker/authorized" --quiet
    [ "$2" = "$broker" ] || cp "$broker/broker.key" "$2"
    touch "$2/$1.admitted"
}

make broker "$broker"
admit ops "$broker"
for name in site upper client http; do
    admit "$name" "/keys/$name"
done

# token PRINCIPAL ROLE DIRECTORY: makes a token, known to who reads DIRECTORY/tokens, in the principal's volume
token ()
{
    [ ! -e "/keys/$1/token" ] || return 0
    (umask 077 && riposte keys token --principal "$1" --role "$2" --into "$3" --quiet > "/keys/$1/token.new")
    mv "/keys/$1/token.new" "/keys/$1/token"
}

token http call /keys/http
token prometheus watcher "$broker/authorized"
# password ROLE FILE...: makes a password for a role of the database, known to who reads one of these files, as libpq does
password ()
{
    role=$1
    ! grep -q ":$role:" "$2" 2> /dev/null || return 0
    shift
    word=$(od -A n -N 16 -t x1 /dev/urandom | tr -d ' \n')
    for file; do
        (umask 077 && echo "*:*:*:$role:$word" >> "$file")
    done
}

for role in postgres replicator riposte_owner; do
    password "$role" /keys/database/pgpass
done
password riposte_broker /keys/database/pgpass "$broker/pgpass"
[ -e "$broker/rules" ] || cp "$1" "$broker/rules"
riposte rules check "$broker/rules" --quiet
