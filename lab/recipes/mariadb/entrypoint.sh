#!/bin/bash
# MARIADB_ROOT_PASSWORD, MARIADB_USER and MARIADB_PASSWORD (or their _FILE) count when the data directory is first made.
set -eu

from_file() {
    local name=$1 file=$1_FILE
    if [[ -n ${!file:-} ]]; then
        export "$name"="$(<"${!file}")"
    fi
}

# A value as an SQL literal.
literal() {
    local v=${1//\\/\\\\}
    printf "'%s'" "${v//\'/\\\'}"
}

initialise() {
    from_file MARIADB_ROOT_PASSWORD
    from_file MARIADB_PASSWORD
    mariadb-install-db --user=mysql --skip-test-db --auth-root-authentication-method=normal >/dev/null
    {
        local root
        root=$(literal "${MARIADB_ROOT_PASSWORD:?is not set}")
        # Without grant tables nothing can be granted until they are read.
        echo 'FLUSH PRIVILEGES;'
        echo "ALTER USER root@localhost IDENTIFIED BY $root;"
        echo "CREATE USER root@'%' IDENTIFIED BY $root;"
        echo "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;"
        if [[ -n ${MARIADB_USER:-} ]]; then
            echo "CREATE USER $(literal "$MARIADB_USER")@'%' IDENTIFIED BY $(literal "${MARIADB_PASSWORD:?is not set}");"
        fi
    } | mariadbd --user=mysql --bootstrap
}

if [[ $1 == mariadbd && ! -d /var/lib/mysql/mysql ]]; then
    chown mysql:mysql /var/lib/mysql
    initialise
fi
if [[ $1 == mariadbd ]]; then
    exec "$@" --user=mysql
fi
exec "$@"
