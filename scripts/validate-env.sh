#!/usr/bin/env bash
# Are all variables set that a stack cannot do without?
#
#     set -a; source compose/.env.core; set +a        # and the secrets, from wherever they come
#     scripts/validate-env.sh core
#
# The list is the Compose file's own: what it insists on (`${NAME:?}`), and where its secrets come from
# (`secrets: ...: environment: NAME`). Needs bash and nothing else. Exit status 0, or 1 when something is missing.
# `invoke validate-env core` says the same.
set -u

required() {
    local line rest section="" secrets=() found=()
    while IFS= read -r line || [[ -n $line ]]; do
        [[ $line =~ ^[[:space:]]*# ]] && continue
        [[ $line =~ ^([A-Za-z][A-Za-z0-9_-]*): ]] && section=${BASH_REMATCH[1]}
        if [[ $section == secrets && $line =~ environment:[[:space:]]*[\"\']?([A-Za-z_][A-Za-z0-9_]*) ]]; then
            secrets+=("${BASH_REMATCH[1]}")
        fi
        rest=${line%%[[:space:]]#*}
        rest=${rest//'$$'/} # a dollar sign that stands for itself
        while [[ $rest =~ \$\{([A-Za-z_][A-Za-z0-9_]*):?\? ]]; do
            found+=("${BASH_REMATCH[1]}")
            rest=${rest#*"${BASH_REMATCH[0]}"}
        done
    done <"$1"
    printf '%s\n' ${found[@]+"${found[@]}"} ${secrets[@]+"${secrets[@]}"}
}

check() {
    local name missing=() seen=" "
    while IFS= read -r name; do
        [[ -z $name || $seen == *" $name "* ]] && continue
        seen+="$name "
        [[ -n ${!name:-} ]] || missing+=("$name")
    done < <(required "$1")
    if ((${#missing[@]})); then
        echo "❌ Missing required variables: ${missing[*]}"
        return 1
    fi
    echo "✅ All required variables set"
}

case ${1:-} in
core | workers)
    here=${BASH_SOURCE[0]}
    [[ $here == */* ]] || here=./$here
    file=$(cd "${here%/*}/.." && pwd)/compose/docker-compose.$1.yml
    if [[ ! -r $file ]]; then
        echo "❌ There is no $file" >&2
        exit 1
    fi
    check "$file"
    ;;
*)
    echo "Usage: $0 {core|workers}"
    exit 1
    ;;
esac
