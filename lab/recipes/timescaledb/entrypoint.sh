#!/bin/bash
# POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB (or their _FILE) count when the data directory is first made.
set -eu

from_file() {
    local name=$1 file=$1_FILE
    if [[ -n ${!file:-} ]]; then
        export "$name"="$(<"${!file}")"
    fi
}

initialise() {
    from_file POSTGRES_USER
    from_file POSTGRES_PASSWORD
    from_file POSTGRES_DB
    : "${POSTGRES_USER:=postgres}" "${POSTGRES_PASSWORD:?is not set}"
    : "${POSTGRES_DB:=$POSTGRES_USER}"
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --encoding=UTF8 \
        --locale=C.UTF-8 --auth-local=trust --auth-host=scram-sha-256
    cat >>"$PGDATA/postgresql.conf" <<-CONF
		listen_addresses = '*'
		shared_preload_libraries = 'timescaledb'
		timescaledb.telemetry_level = off
	CONF
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start
    if [[ $POSTGRES_DB != postgres ]]; then
        psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres -v db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
    fi
    psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<<'CREATE EXTENSION IF NOT EXISTS timescaledb;'
    local script
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
        *.sql) psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -f "$script" ;;
        *.sh) . "$script" ;;
        esac
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
}

if [[ $1 == postgres && $(id -u) == 0 ]]; then
    mkdir -p "$PGDATA" /var/run/postgresql
    chown -R postgres:postgres "$PGDATA" /var/run/postgresql
    chmod 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [[ $1 == postgres && ! -s $PGDATA/PG_VERSION ]]; then
    # A first start that was killed half way leaves a directory that initdb refuses.
    find "$PGDATA" -mindepth 1 -delete
    (initialise)
fi
exec "$@"
