# Calls of Docker whose answers the simulated one must give as well: run on a real host once, see truth.py.
# In the working directory; $IMAGE is an image with a shell that can be pulled.
export ONE=first TWO=second WORD=a
p="docker compose -p truth --project-directory $PWD"
c="$p -f $PWD/truth.yml"
cat >truth.yml <<'X'
services:
  base:
    image: ${IMAGE}
    entrypoint: [sleep, "600"]
    init: true
    restart: unless-stopped
    secrets: [one]
    volumes: ["data:/data"]
    healthcheck: { test: ["CMD", "true"], interval: 1s, timeout: 5s, retries: 1 }
  once:
    image: ${IMAGE}
    entrypoint: ["true"]
    restart: "no"
    depends_on: { base: { condition: service_healthy } }
  top:
    image: ${IMAGE}
    entrypoint: [sleep, "600"]
    init: true
    environment: { WORD: "${WORD}", PRICE: "5$$" }
    secrets: [one, two]
    ports: ["127.0.0.1:18181:80"]
    depends_on:
      base: { condition: service_started }
      once: { condition: service_completed_successfully }
volumes: { data: {} }
secrets:
  one: { environment: ONE }
  two: { environment: TWO }
X
at() { printf '\n=== %s\n' "$1"; }
told() { "$@" 2>&1; echo "status $?"; }
quiet() { "$@" >said 2>&1; echo "status $?"; }
ps_() { docker ps -a --filter label=com.docker.compose.project=truth --format '{{.Names}} {{.State}} {{.Label "com.docker.compose.service"}} {{.Label "com.docker.compose.oneoff"}} {{.Label "com.docker.compose.container-number"}} {{.Label "com.docker.compose.depends_on"}}' | sort; }
id() { docker ps -aq --no-trunc --filter "name=^truth-$1-1\$"; }
file() { docker cp "truth-$1-1:/run/secrets/$2" - 2>&1 | tar -xOf - 2>/dev/null; echo "|"; }
same() { [ "$2" = "$3" ] && echo "$1 is the same" || echo "$1 is another"; }
at 'config'; $c config --format json
at 'a variable that has no value'; (unset WORD; $c config --format json 2>&1 >/dev/null | sed 's/^time="[^"]*"/time=""/')
at 'an image that is not there'; told docker image inspect no/such:1 | tail -n 2
at 'pull'; quiet docker pull --quiet "$IMAGE"
i=$(docker image inspect -f '{{.Id}}' "$IMAGE")
at 'up'; quiet $c up -d --no-build --pull never --remove-orphans; ps_
b=$(id base) t=$(id top) o=$(id once)
at 'hashes'
for s in base once top; do
  h=$($c config --hash '*' | sed -n "s/^$s //p"); l=$(docker inspect -f '{{index .Config.Labels "com.docker.compose.config-hash"}}' "truth-$s-1")
  same "hash of $s" "$h" "$l"
  h=$($c config --format json | $p -f - config --hash '*' | sed -n "s/^$s //p")
  same "hash of $s from its rendering" "$h" "$l"
done
at 'inspect'
docker inspect --format '{{json .Name}} {{.State.Status}} {{.State.ExitCode}} {{.RestartCount}} {{json .HostConfig.PortBindings}} {{json .NetworkSettings.Ports}} {{.HostConfig.NetworkMode}} {{.Config.Cmd}}' truth-top-1 truth-base-1
docker inspect --format '{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}{{println}}{{end}}' truth-base-1
docker inspect --format '{{range .Config.Env}}{{if eq (index (split . "=") 0) "PRICE"}}{{.}}x{{end}}{{end}}' truth-top-1
at 'secrets'; file base one; file top one; file top two
at 'a file that is not there'; docker cp truth-base-1:/run/secrets/none - 2>&1 >/dev/null | sed 's/in container .*/in container/'
at 'up again'; quiet $c up -d --remove-orphans; same base "$b" "$(id base)"; same top "$t" "$(id top)"; same once "$o" "$(id once)"
at 'another value of a secret'; export ONE=changed; quiet $c up -d; same top "$t" "$(id top)"; file base one; file top one
at 'a container that was stopped'; docker stop -t 0 truth-top-1 >/dev/null; quiet $c up -d; same top "$t" "$(id top)"; file top one
at 'started by docker'; export ONE=again; docker restart -t 0 truth-top-1 >/dev/null; file top one
at 'another configuration'; export WORD=b; quiet $c up -d; same base "$b" "$(id base)"; same top "$t" "$(id top)"; file top one; ps_
t=$(id top)
at 'only made'; export WORD=c; quiet $c up -d --no-start top; same top "$t" "$(id top)"; ps_; file top one
at 'then started'; quiet $c up -d --no-deps --no-recreate top; ps_; file top one
at 'a secret that has no value'; (unset ONE; export WORD=d; quiet $c up -d); ps_
at 'and after that'; quiet $c up -d; ps_
at 'a service that is gone'; sed '/^  once:/,/^  top:/{/^  top:/!d}; /once: {/d' truth.yml >less.yml; quiet $p -f "$PWD/less.yml" up -d --remove-orphans; ps_
at 'a number'; quiet $c up -d --scale once=0; ps_
at 'a half'; old=$(id top | cut -c 1-12); docker create --name "${old}_truth-top-1" "$IMAGE" >/dev/null; export WORD=e; quiet $c up -d; ps_; docker rm "${old}_truth-top-1" >/dev/null 2>&1; quiet $c up -d; ps_
at 'a name that is taken'; docker create --name truth-top-1 "$IMAGE" 2>&1 | sed 's/by container.*//; s/^docker: //' | head -n 1
at 'a command'; quiet $c run --rm --name truth-once --no-deps -T once; quiet $c run --rm --name truth-once --no-deps --entrypoint false -T once >/dev/null; ps_
at 'removal'; told docker rm truth-top-1 | sed 's/container "[^"]*"/container/; s/container [^ ]*:/container:/; s/cannot remove container .*: container/cannot remove container: container/' | head -n 1
told docker rm no-such; told docker inspect no-such | tail -n 2
docker tag "$IMAGE" truth.local/keep:1; docker tag "$IMAGE" truth.local/keep:2
at 'tags'; docker images --no-trunc --digests --format '{{.Repository}} {{.Tag}} {{.Digest}} {{.ID}}' truth.local/keep | sort
at 'an image that is used'; told docker rmi "$i" | sed 's/delete [0-9a-f]*/delete/' | head -n 1
quiet docker rmi truth.local/keep:2; docker images --format '{{.Tag}}' truth.local/keep
at 'ancestor'; docker ps -aq --filter "ancestor=$i" | wc -l
at 'down'; quiet docker compose -p truth down --remove-orphans; ps_; docker volume ls -q --filter label=com.docker.compose.project=truth
docker rmi truth.local/keep:1 >/dev/null; docker volume rm truth_data >/dev/null 2>&1; rm -f truth.yml less.yml said; true
