#!/usr/bin/env bash
# Stops everything that up.sh started, by process id, and removes its containers, mounts, networks and cgroups. Keeps
# the keys, the logs and the content of the registry. Does nothing if nothing is left.
. "$(dirname "$0")/settings.sh"
need_root
lock down

owner=$(cat "$state/owner" 2> /dev/null || true)
if [ -n "$owner" ] && [ "$owner" != "$dir" ]; then
  say "the cluster of this machine is that of $owner: left alone"
  exit 0
fi

# Kills the kubelet first: it would restart the other programs. Of those only the registry has state to save.
# shellcheck disable=SC2086 # a list of words
{
  signal KILL kubelet
  signal TERM $core_programs registry
  reap kubelet
}

# Some files are outside our directories: network namespaces of Pods, sockets of shims, results of the network plugin.
# The bundles name them. containerd removes the bundle of a shim that ends, so this reads them first.
bundles=$state/io.containerd.runtime.v2.task/k8s.io
namespaces=$(grep -hoE '/(var/)?run/netns/cni-[0-9a-f-]+' "$bundles"/*/config.json 2> /dev/null | sort -u || true)
# These files have no line end.
addresses=$(for file in "$bundles"/*/address; do [ -f "$file" ] && printf '%s\n' "$(cat "$file")"; done || true)
sandboxes=$(ls "$bundles" 2> /dev/null || true)

# A shim outlives containerd. Our shims have our socket as an argument. Their children are the first processes of the
# containers; when one ends, the kernel ends all other processes of its namespace.
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
# A mount may show a directory of the host. The removals below must never reach it.
[ -z "$(mounts)" ] || fail "these mounts are left, so nothing is removed: $(mounts | tr '\n' ' ')"
ip link delete "$bridge" 2> /dev/null || true
# Removes empty ones: rmdir refuses the others. A killed process may still be in one for a moment.
for _ in $(seq 20); do
  find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2> /dev/null || true
  [ -n "$(find /sys/fs/cgroup -maxdepth 2 -name kubepods)" ] || break
  sleep 0.1
done
# The kubelet and containerd create these regardless of their settings. up.sh records the ones that did not exist
# before.
if [ -f "$run/made-on-host" ]; then
  while read -r path; do
    case $path in
      /var/log/* | /var/lib/kubelet) rm -rf "$path" ;;
      *) find "$path" -depth -type d -empty -delete 2> /dev/null || true ;;
    esac
  done < "$run/made-on-host"
fi
rm -rf "$run/kubelet" "$run/etcd" "$run/containerd" "$run/ipam" "$run/made-on-host" "$state"
