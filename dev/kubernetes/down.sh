#!/usr/bin/env bash
# Stops what up.sh started, by process id, and removes its containers, mounts, networks and cgroups. Keeps the keys, the logs
# and what was pushed into the registry. Does nothing when nothing is left to do.
. "$(dirname "$0")/settings.sh"
need_root
lock down

owner=$(cat "$state/owner" 2> /dev/null || true)
if [ -n "$owner" ] && [ "$owner" != "$dir" ]; then
  say "the cluster of this machine is that of $owner: left alone"
  exit 0
fi

# The kubelet first, at once: it would start again what is stopped here. The others have no state worth saving but the registry.
# shellcheck disable=SC2086 # a list of words
{
  signal KILL kubelet
  signal TERM $core_programs registry
  reap kubelet
}

# What lies outside our directories: a Pod's network namespace, a shim's socket, a note of the network's. The bundles name them,
# and containerd removes the bundle of a shim that died: so they are read first.
bundles=$state/io.containerd.runtime.v2.task/k8s.io
namespaces=$(grep -hoE '/(var/)?run/netns/cni-[0-9a-f-]+' "$bundles"/*/config.json 2> /dev/null | sort -u || true)
# They end without a line end.
addresses=$(for file in "$bundles"/*/address; do [ -f "$file" ] && printf '%s\n' "$(cat "$file")"; done || true)
sandboxes=$(ls "$bundles" 2> /dev/null || true)

# A shim outlives containerd, even one that died. Ours name our socket as an argument; their children are the containers' first
# processes, with which the kernel ends all the others of their process namespaces.
shims() { grep -lzxF -- "$socket" /proc/[0-9]*/cmdline 2> /dev/null | cut -d/ -f3 || true; }
for shim in $(shims); do
  # shellcheck disable=SC2013 # process ids are words
  for child in $(cat "/proc/$shim/task"/*/children 2> /dev/null); do kill -s KILL "$child" 2> /dev/null || true; done
done
for shim in $(shims); do kill -s KILL "$shim" 2> /dev/null || true; done
# shellcheck disable=SC2086
reap $core_programs registry

for namespace in $namespaces; do
  umount -l "$namespace" 2> /dev/null || true
  rm -f "$namespace"
done
for address in $addresses; do rm -f "${address#unix://}"; done
for sandbox in $sandboxes; do rm -f /var/lib/cni/results/*-"$sandbox"-*; done

mounts() { awk -v a="$run/" -v b="$state/" 'index($2, a) == 1 || index($2, b) == 1 {print $2}' /proc/mounts; }
mounts | sort -r | xargs -r umount -l
# A mount may show a directory of the host, which the removals below must never reach.
[ -z "$(mounts)" ] || fail "these mounts are left, so nothing is removed: $(mounts | tr '\n' ' ')"
ip link delete "$bridge" 2> /dev/null || true
# Empty ones only: rmdir refuses the others. A process that was killed just now may still be in one for a moment.
for _ in $(seq 20); do
  find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2> /dev/null || true
  [ -n "$(find /sys/fs/cgroup -maxdepth 2 -name kubepods)" ] || break
  sleep 0.1
done
# The kubelet and containerd make these, whatever they are told. up.sh notes which ones were not there before.
if [ -f "$run/made-on-host" ]; then
  while read -r path; do
    case $path in
      /var/log/* | /var/lib/kubelet) rm -rf "$path" ;;
      *) find "$path" -depth -type d -empty -delete 2> /dev/null || true ;;
    esac
  done < "$run/made-on-host"
fi
rm -rf "$run/kubelet" "$run/etcd" "$run/containerd" "$run/ipam" "$run/made-on-host" "$state"
