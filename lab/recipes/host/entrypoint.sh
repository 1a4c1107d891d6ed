#!/bin/sh
# /etc/lab is the lab's folder for this host: its host key, whom it lets in, the registry's certificate.
#
# sshd and dockerd are started again whenever they end, as an init system does it: stopping one is not stopping the host.
set -eu
umask 022
mkdir -p /run/sshd
install -d -m 0700 /run/lab
install -m 0600 /etc/lab/host_key /etc/lab/authorized_keys /run/lab/
install -D -m 0644 /etc/lab/ca.crt "/etc/docker/certs.d/registry.ktrdr.internal:5443/ca.crt"

keep_running() {
    while :; do
        # What was killed leaves this behind, and dockerd refuses to start over another's.
        [ "$1" != dockerd ] || rm -f /var/run/docker.pid
        "$@" || true
        sleep 0.2
    done
}

stop() {
    kill "$sshd" "$dockerd"
    pkill -TERM -x dockerd || exit 0
    while pgrep -x dockerd >/dev/null; do sleep 0.1; done
    exit 0
}

keep_running /usr/sbin/sshd -D -E /var/log/sshd.log &
sshd=$!
keep_running dockerd >>/var/log/dockerd.log 2>&1 &
dockerd=$!
trap stop TERM INT
# `wait` alone lets a trap run at once.
wait
