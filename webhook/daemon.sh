#!/bin/sh
# The Docker daemon of one pod: what the injected sidecar runs, as `sh -c`, as the container's first process.
# Needs a POSIX sh, the usual small utilities, docker and dockerd. docs/daemon.md says why each thing is so.
#
#   DIND_DOCKER_HOST          unix, or tcp: a port on 127.0.0.1 as well
#   DIND_SIZE_MIB             size of the graph storage; the build cache may use 30 % of it
#   DIND_SHUTDOWN_SECONDS     how long the daemon may take to stop, at least 1
#   DIND_REGISTRY_MIRRORS     addresses, separated by white space
#   DIND_INSECURE_REGISTRIES  addresses, separated by white space
#   DIND_REGISTRY_CA          certificates (PEM) that the daemon trusts besides the image's own
#   DIND_DAEMON_ARGS          further arguments of dockerd, one a line; they win over ours
#
# Proxies, DOCKER_MIN_API_VERSION and whatever else dockerd reads from its environment reach it untouched.
set -euf

graph=/var/lib/docker
health=$graph/.dind
sockets=/run/dind
image_config=/etc/docker/daemon.json
config=/run/dind-daemon.json
newline='
'
mode=${DIND_DOCKER_HOST:-unix}
size_mib=${DIND_SIZE_MIB:?'it must be the size of the graph storage in MiB'}
shutdown_seconds=${DIND_SHUTDOWN_SECONDS:-10}
daemon=''   # its process, while one runs
answered='' # whether that one has answered
status=0    # with which the last one ended
state_before=''

say() { echo "dind: $*" >&2; }
die() { say "$*"; exit 1; }

# Runs a command so that SIGTERM interrupts the waiting, not only what comes after it.
attend() { "$@" & wait "$!"; }

nap() { sleep 0.2 2>/dev/null || sleep 1; }

# --- the graph's health, for the driver to read -------------------------------------------------------------

# An earlier pod had this disk to itself as root: whatever is not the plain thing we expect goes, unfollowed.
open_health() {
  if [ -L "$health" ] || [ ! -d "$health" ]; then rm -rf "$health"; fi
  mkdir -p "$health"
  rm -rf "$health/state.new"
  for file in "$health/state" "$health/lock"; do
    if [ -L "$file" ] || [ ! -f "$file" ]; then rm -rf "$file"; fi
  done
  state_before=$(head -c 16 "$health/state" 2>/dev/null) || state_before=''
}

# Every process that the daemon starts inherits descriptor 9, so the lock ends with the last of them.
lock_graph() {
  command -v flock >/dev/null || { say "no flock in this image: the graph is not locked"; return 0; }
  exec 9>>"$health/lock"
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    if flock -n 9; then return 0; fi
    sleep 1
  done
  die "another daemon still uses this graph storage"
}

record() {
  printf '%s\n' "$1" >"$health/state.new" || die "cannot write $health/state: is the graph storage full?"
  sync "$health/state.new"
  mv "$health/state.new" "$health/state"
  sync "$health"
}

# --- what an earlier pod left -------------------------------------------------------------------------------

# All that can be taken away without the daemon. What could make it run anything (restart policies, swarm
# services, plugins) has to be, since it would run before the daemon answers.
remove_leftovers() (
  set +f
  for entry in "$graph"/* "$graph"/.[!.]* "$graph"/containers/*; do
    if [ -L "$entry" ]; then rm -f "$entry"; fi
  done
  rm -rf "$graph/swarm" "$graph/plugins" "$graph/volumes" "$graph/network"
  for container in "$graph"/containers/*; do
    [ -d "$container" ] || { rm -f "$container"; continue; }
    rm -rf "$container/hostconfig.json"
    echo '{"NetworkMode":"none","RestartPolicy":{"Name":"no"}}' >"$container/hostconfig.json"
  done
)

has_containers() { [ -n "$(ls -A "$graph/containers" 2>/dev/null)" ]; }

# Containers have layers that only the daemon can find.
remove_containers() {
  ids=$(docker ps --all --quiet --no-trunc)
  # shellcheck disable=SC2086 # a list
  [ -z "$ids" ] || attend docker rm --force --volumes $ids >/dev/null || :
  ids=$(docker ps --all --quiet)
  [ -z "$ids" ] || die "containers of an earlier pod cannot be removed: $ids"
  (set +f; rm -rf "$graph"/containers/*)
}

# --- the daemon's surroundings ------------------------------------------------------------------------------

# Where memory runs out, the largest process is to die, not the daemon: the kubelet gives it a score near
# 1000, Docker its containers 0.
lower_oom_score() {
  read -r score </proc/self/oom_score_adj
  if [ "$score" -gt 0 ]; then echo 0 >/proc/self/oom_score_adj; fi
}

# cgroup v2: a group that has processes cannot have groups with limits below it, so ours move aside.
# Kubernetes shows a privileged container the node's whole tree, where Docker's own default group lies outside
# the pod's limits. Below the container's own its limits hold by themselves: none has to be copied.
nest_cgroups() {
  cgroup_parent=
  [ -f /sys/fs/cgroup/cgroup.controllers ] || return 0
  own=$(sed -n 's/^0:://p' /proc/self/cgroup)
  own=${own%/}
  group=/sys/fs/cgroup$own
  mkdir -p "$group/init" "$group/dind" || { say "cannot write $group: limits may not hold"; return 0; }
  cgroup_parent=$own/dind
  # The kubelet sets it: all would die together.
  echo 0 >"$group/memory.oom.group" || :
  # A probe of the kubelet may enter the group at any moment.
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    while read -r process; do
      echo "$process" >"$group/init/cgroup.procs" || :
    done <"$group/cgroup.procs"
    # shellcheck disable=SC2013 # words, not lines
    for controller in $(cat "$group/cgroup.controllers"); do
      echo "+$controller" >"$group/cgroup.subtree_control" || :
    done
    if [ "$(cat "$group/cgroup.subtree_control")" = "$(cat "$group/cgroup.controllers")" ]; then return 0; fi
    nap
  done 2>/dev/null
  say "of the controllers $(cat "$group/cgroup.controllers") only these reach containers:" \
    "$(cat "$group/cgroup.subtree_control")"
}

# The MTU of the interface that leads out of the pod.
pod_mtu() {
  link=eth0
  while read -r name destination _; do
    if [ "$destination" = 00000000 ]; then link=$name; break; fi
  done </proc/net/route
  cat "/sys/class/net/$link/mtu"
}

trust_registry_ca() {
  [ -n "${DIND_REGISTRY_CA:-}" ] || return 0
  mkdir -p /etc/ssl/certs
  printf '%s\n' "$DIND_REGISTRY_CA" >/etc/ssl/certs/dind-registry-ca.pem
}

# What a killed daemon leaves in the pod: the kubelet's probe must not see its socket, nor dockerd its pid.
remove_stale() {
  mkdir -p "$sockets" /var/run
  rm -rf "$sockets/.docker.sock" "$sockets/docker.sock" /var/run/docker.sock /var/run/docker.pid \
    /var/run/docker/containerd
}

# hack/dind mounts a tmpfs on /tmp unless something is mounted there; it would hide volumes that lie below.
keep_volumes_below_tmp() {
  if grep -q ' /tmp/' /proc/mounts && ! grep -q ' /tmp ' /proc/mounts; then
    mount -o rbind /tmp /tmp || say "containers' volumes below /tmp may be out of the daemon's sight"
  fi
}

# --- its configuration --------------------------------------------------------------------------------------

# The image's daemon.json, if it has one, with the garbage collection of the build cache, which has no flag.
write_config() {
  keep=$((size_mib * 30 / 100))MB
  if [ "$major" -ge 28 ]; then
    gc="\"defaultReservedSpace\":\"$keep\",\"defaultMaxUsedSpace\":\"$keep\""
  else
    gc="\"defaultKeepStorage\":\"$keep\""
  fi
  builder="\"builder\":{\"gc\":{\"enabled\":true,$gc}}"
  if [ ! -s "$image_config" ]; then
    echo "{$builder}" >"$config"
    return 0
  fi
  # Where the daemon listens is for us to say, and it takes no argument for it beside a key.
  value='\("[^"]*"\|true\|false\)'
  drop="s/\"hosts\" *: *\[[^]]*\] *,\{0,1\}//; s/\"tls[a-z]*\" *: *$value *,\{0,1\}//g"
  grep -q '"builder"' "$image_config" || drop="$drop; s/{/{$builder,/"
  tr '\n' ' ' <"$image_config" | sed "$drop; s/, *}/}/g" >"$config"
}

# flag KEY ARGUMENT: the daemon refuses a key that is both in its configuration and an argument.
flag() {
  if grep -q "\"$1\"" "$config"; then
    say "$2 does not count: the image's $image_config sets $1"
  else
    arguments=$arguments$2$newline
  fi
}

choose_arguments() {
  arguments="--config-file=$config$newline--host=unix://$sockets/.docker.sock$newline"
  flag data-root "--data-root=$graph"
  flag group --group=2375
  flag log-level --log-level=warn
  flag log-driver --log-driver=local
  flag shutdown-timeout "--shutdown-timeout=$shutdown_seconds"
  [ -z "$cgroup_parent" ] || flag cgroup-parent "--cgroup-parent=$cgroup_parent"
  mtu=$(pod_mtu 2>/dev/null) || say "the pod's network interface cannot be read: Docker's own MTU stays"
  if [ -n "$mtu" ]; then
    flag mtu "--mtu=$mtu"
    # --mtu is for the default network alone, this for those that compose makes.
    [ "$major" -lt 24 ] ||
      flag default-network-opts "--default-network-opt=bridge=com.docker.network.driver.mtu=$mtu"
  fi
  for mirror in ${DIND_REGISTRY_MIRRORS:-}; do flag registry-mirrors "--registry-mirror=$mirror"; done
  for registry in ${DIND_INSECURE_REGISTRIES:-}; do
    flag insecure-registries "--insecure-registry=$registry"
  done
  IFS=$newline
  for argument in ${DIND_DAEMON_ARGS:-}; do
    key=${argument%%=*}
    key=${key#--}
    # What may be given several times has the plural as its key.
    case $key in
      add-runtime) key=runtimes ;;
      insecure-registry) key=insecure-registries ;;
      registry-mirror | label | *-opt | authorization-plugin | default-ulimit | default-address-pool | *-resource)
        key=${key}s ;;
    esac
    flag "$key" "$argument"
  done
  unset IFS
}

# --- its life -----------------------------------------------------------------------------------------------

# start [ARGUMENT…]: returns once the daemon answers.
start() {
  IFS=$newline
  # shellcheck disable=SC2086 # one argument a line
  set -- dockerd $arguments "$@"
  unset IFS
  # The official image's: chooses the iptables that works, prepares mounts and cgroups, reaps processes. It
  # fails if a process of ours begins just while it moves all of them to another cgroup.
  pause=0
  if command -v dockerd-entrypoint.sh >/dev/null; then
    set -- dockerd-entrypoint.sh "$@"
    pause=1
  fi
  "$@" &
  daemon=$!
  sleep "$pause"
  until [ -S "$sockets/.docker.sock" ] && attend docker version >/dev/null 2>&1; do
    if ! kill -0 "$daemon" 2>/dev/null; then ended; fi
    nap
  done
  answered=yes
}

ended() {
  status=0
  wait "$daemon" || status=$?
  die "the Docker daemon ended with status $status; its last lines are above"
}

stop() {
  status=0
  kill -TERM "$daemon" 2>/dev/null || :
  wait "$daemon" || status=$?
  daemon=''
  answered=''
}

# SIGTERM. The daemon gives each container the time that the container asked for, 10 s by default, however
# short its own is: so the containers are stopped first, within ours.
# shellcheck disable=SC2329 # called by the trap
finish() {
  trap '' TERM INT
  if [ -z "$answered" ]; then
    [ -z "$daemon" ] || stop
    # A start called off in order proves nothing against the graph. (143: dockerd had no handler yet.)
    case $status-$state_before in 0-ready | 0-clean | 143-ready | 143-clean) record "$state_before" ;; esac
    exit 0
  fi
  grace=$((shutdown_seconds > 1 ? shutdown_seconds - 1 : 1))
  ids=$(docker ps --quiet --no-trunc) || ids=''
  # shellcheck disable=SC2086 # a list
  [ -z "$ids" ] || docker stop -t "$grace" $ids >/dev/null || :
  stop
  [ "$status" = 0 ] || die "the Docker daemon ended with status $status when told to stop"
  sync -f "$graph" 2>/dev/null || sync
  record clean
  exit 0
}

case $mode in
  unix) port= ;;
  tcp) port="--host=tcp://127.0.0.1:2375$newline--tls=false" ;;
  *) die "DIND_DOCKER_HOST is '$mode': it must be unix or tcp" ;;
esac
trap finish TERM INT
export DOCKER_HOST="unix://$sockets/.docker.sock" TINI_SUBREAPER=1
unset DOCKER_CONTEXT DOCKER_TLS DOCKER_TLS_VERIFY DOCKER_CERT_PATH

open_health
lock_graph
remove_stale
record starting
remove_leftovers
nest_cgroups
keep_volumes_below_tmp
lower_oom_score
trust_registry_ca
major=$(dockerd --version | sed -n 's/^Docker version \([0-9]*\).*/\1/p')
major=${major:-0}
write_config
choose_arguments

# No port opens before the containers are gone: the daemon that removes them has none.
if has_containers; then
  start
  remove_containers
  if [ -n "$port" ]; then stop; fi
fi
# shellcheck disable=SC2086 # two arguments, or none
[ -n "$daemon" ] || start $port
record ready
ln -s "$sockets/.docker.sock" /var/run/docker.sock
ln -s .docker.sock "$sockets/docker.sock"
ended
