#!/bin/bash
# Asks for the page every two seconds, and writes into the database how it was answered.
set -eu
export PGUSER PGPASSWORD
PGUSER=$(</run/secrets/db_user)
PGPASSWORD=$(</run/secrets/db_password)

psql -qc "CREATE TABLE IF NOT EXISTS answers (at timestamptz DEFAULT now(), status text)"
while true; do
    status=$(curl -s -o /dev/null -w '%{http_code}' --max-time 5 "$PAGE" || true)
    psql -qc "INSERT INTO answers (status) VALUES ('$status')"
    echo "recorded: $status"
    sleep 2
done
