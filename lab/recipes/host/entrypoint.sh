#!/bin/sh
# /etc/lab is the lab's folder for this host: its host key, whom it lets in, the registry's certificate.
set -eu
umask 022
# A machine that was stopped hard leaves these behind, and dockerd refuses to start over them.
rm -f /var/run/docker.pid /run/docker.pid /run/docker/containerd/containerd.pid
mkdir -p /run/sshd
install -d -m 0700 /run/lab
install -m 0600 /etc/lab/host_key /etc/lab/authorized_keys /run/lab/
install -D -m 0644 /etc/lab/ca.crt "/etc/docker/certs.d/registry.ktrdr.internal:5443/ca.crt"
/usr/sbin/sshd -E /var/log/sshd.log
exec dockerd >>/var/log/dockerd.log 2>&1
