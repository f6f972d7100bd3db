# shellcheck shell=bash disable=SC2034 # sourced: the variables are the other scripts'
# The paths of the real cluster on this machine, and functions that start, find and stop its programs. Source it.
set -euo pipefail

dir=$(realpath -m "${C3_CLUSTER_DIR:-$HOME/.cache/c3/cluster}")
bin=$dir/bin # what build.sh builds
run=$dir/run # what up.sh writes
# Sockets have short paths (108 bytes) and do not survive a reboot, so containerd's state is under /run. Its name is
# fixed, so that the machine has only one cluster: two kubelets would remove each other's cgroups.
state=/run/c3-cluster
socket=$state/containerd.sock
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")

api_port=${C3_CLUSTER_PORT:-6443}
registry_port=${C3_CLUSTER_REGISTRY_PORT:-5000}
etcd_port=${C3_CLUSTER_ETCD_PORT:-2379} # the next port is etcd's for its peers
kubelet_port=${C3_CLUSTER_KUBELET_PORT:-10250}

bridge=c3br0
pod_subnet=10.244.0.0/24
pod_gateway=10.244.0.1 # the bridge's address: where Pods reach this machine. kubernetes.ts says the same, a test compares.

core_programs="kubelet scheduler controller-manager apiserver containerd etcd"

say() { echo "cluster: $*" >&2; }
fail() { echo "cluster: error: $*" >&2; exit 1; }
need_root() { [ "$(id -u)" = 0 ] || fail "needs root: containers, mounts and a bridge are made"; }
# Two runs of one script wait for each other. The started programs must not inherit the lock: see launch.
lock() { mkdir -p "$dir"; exec 9> "$dir/$1.lock"; flock -w 900 9 || fail "another $1.sh has held $dir/$1.lock for 15 minutes"; }

# Starts a program in the background: its name, then its argv. NAME.cmd has the argv exactly as in /proc/PID/cmdline,
# for later starts, and to recognize a process id that belongs to another program since a reboot.
start() { local name=$1; shift; printf '%s\0' "$@" > "$run/$name.cmd"; launch "$name"; }

launch() {
  local name=$1 argv pid
  [ -f "$run/$name.cmd" ] || fail "$name has never been started in $run"
  mapfile -d '' -t argv < "$run/$name.cmd"
  # All servers are on loopback, which a proxy of the environment cannot reach.
  env -u http_proxy -u https_proxy -u HTTP_PROXY -u HTTPS_PROXY setsid "${argv[@]}" >> "$run/log/$name.log" 2>&1 < /dev/null 9>&- &
  pid=$!
  echo "$pid" > "$run/$name.pid"
  for _ in $(seq 50); do # until exec has replaced the shell
    if is_running "$name" || [ ! -d "/proc/$pid" ]; then return; fi
    sleep 0.02
  done
}

is_running() {
  local pid
  # shellcheck disable=SC2002 # cat makes it a pipe: cmp compares the sizes of files first, and /proc reports 0
  pid=$(cat "$run/$1.pid" 2> /dev/null) && [ -n "$pid" ] && cat "/proc/$pid/cmdline" 2> /dev/null | cmp -s - "$run/$1.cmd"
}

# Sends a signal to the named programs that run: the signal, then names.
signal() {
  local name signal=$1; shift
  for name in "$@"; do
    if is_running "$name"; then kill -s "$signal" "$(cat "$run/$name.pid")" 2> /dev/null || true; fi
  done
}

# Waits up to 5 s for the named programs to end, then kills them.
reap() {
  local name
  for name in "$@"; do
    for _ in $(seq 50); do is_running "$name" || break; sleep 0.1; done
    signal KILL "$name"
    for _ in $(seq 20); do is_running "$name" || break; sleep 0.1; done
    rm -f "$run/$name.pid"
  done
}

# Polls a command: seconds, the expected state, the program, then the command. Ends at once when that program ends.
wait_for() {
  local seconds=$1 what=$2 program=$3 end; shift 3
  end=$((SECONDS + seconds))
  until "$@" > /dev/null 2>&1; do
    if ! is_running "$program"; then blame "$program" "$program ended while waiting for: $what"; fi
    if [ "$SECONDS" -ge "$end" ]; then blame "$program" "not within $seconds s: $what"; fi
    sleep 0.1
  done
}

blame() { # program, sentence
  say "the last lines of $run/log/$1.log:"
  tail -n 20 "$run/log/$1.log" >&2 || true
  fail "$2"
}

kubectl() { "$bin/kubectl" --kubeconfig "$run/admin.kubeconfig" --request-timeout=5s "$@"; }
is_api_ready() { curl -fsS -m 5 --noproxy '*' --cacert "$run/pki/ca.crt" "https://127.0.0.1:$api_port/readyz"; }
is_containerd_ready() { ctr -a "$socket" --connect-timeout 2s version; }
is_registry_ready() { curl -fsS -m 5 --noproxy '*' "http://127.0.0.1:$registry_port/v2/"; }
# Ready, and without the not-ready taint, which the controller removes a little later and which delays a first Pod.
is_node_ready() {
  [ "$(kubectl get node localhost -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}{.spec.taints}')" = True ]
}
