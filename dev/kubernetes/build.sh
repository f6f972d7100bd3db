#!/usr/bin/env bash
# Builds a real Kubernetes (1.20.2) from Debian's source package into $C3_CLUSTER_DIR/bin, and installs the Debian
# packages that it needs to run. Needs Debian 12 and root. The first run takes about 10 minutes on 2 cores, a later
# one a moment. After an interruption it continues.
. "$(dirname "$0")/settings.sh"
need_root
lock build

programs="kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl"
run_packages="etcd-server containerd runc containernetworking-plugins docker-registry busybox-static iptables iproute2 openssl
  curl git ca-certificates"
build_packages="golang-go rsync dpkg-dev make"
log=$dir/build.log

phase() { printf 'cluster: [%d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*" >&2; }
logged() { "$@" >> "$log" 2>&1 || { say "the last lines of $log:"; tail -n 30 "$log" >&2; fail "failed: $*"; }; }

install_packages() {
  local package absent=()
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" = installed ] || absent+=("$package")
  done
  [ ${#absent[@]} -gt 0 ] || return 0
  phase "installing ${absent[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # Where an init system runs, Debian would start etcd, containerd and the registry as services, on the ports up.sh
  # needs.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
  fi
  logged apt-get update -q
  logged apt-get install -qy --no-install-recommends "${absent[@]}"
}

# Fetches the source package with a separate apt state: the system's sources, read as deb-src.
fetch_source() {
  local sources=/etc/apt/sources.list.d/debian.sources apt=$src/apt opts
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
  touch "$apt/status"
  if [ -f "$sources" ]; then
    sed 's/^Types:.*/Types: deb-src/' "$sources" > "$apt/c3.sources"
    opts=(-o "Dir::Etc::sourcelist=$apt/c3.sources")
  else
    sed -n 's/^deb\(-src\)\? /deb-src /p' /etc/apt/sources.list > "$apt/c3.list"
    opts=(-o "Dir::Etc::sourcelist=$apt/c3.list")
  fi
  opts+=(-o Dir::Etc::sourceparts=- -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache"
    -o "Dir::State::status=$apt/status" -o APT::Sandbox::User=root)
  logged apt-get "${opts[@]}" update -q
  (cd "$src" && logged apt-get "${opts[@]}" source --download-only kubernetes)
}

# shellcheck disable=SC2086 # lists of words
install_packages $run_packages
missing=
for program in $programs; do [ -x "$bin/$program" ] || missing="$missing $program"; done
if [ -z "$missing" ]; then
  say "already built in $bin"
  exit 0
fi

src=$dir/src
tree=$src/gopath/src/k8s.io/kubernetes
mkdir -p "$bin" "$src"
: > "$log"
phase "building$missing (log: $log)"
# shellcheck disable=SC2086
install_packages $build_packages
if [ ! -d "$tree" ]; then
  phase "fetching the source package"
  fetch_source
  phase "unpacking it"
  rm -rf "$tree.partial"
  mkdir -p "$tree.partial"
  tar xzf "$src"/kubernetes_1.20.*.orig.tar.gz -C "$tree.partial" --strip-components=1
  mv "$tree.partial" "$tree"
fi

# Its go.mod is older than the compiler's checks, so it is built in GOPATH mode. In that mode the packages of staging
# are under vendor/, which is a part of the linker's name of the version's variables.
export GOPATH=$src/gopath GO111MODULE=off CGO_ENABLED=0 GOCACHE=$src/gocache
cd "$tree"
if [ ! -f .c3-generated ]; then # the OpenAPI definitions are generated, not shipped
  phase "generating code"
  logged make generated_files
  touch .c3-generated
fi
version=k8s.io/kubernetes/vendor/k8s.io/component-base/version
flags="-s -w -X $version.gitVersion=v1.20.2 -X $version.gitMajor=1 -X $version.gitMinor=20 -X $version.gitTreeState=clean"
for program in $missing; do
  phase "compiling $program"
  logged go build -o "$src/$program" -ldflags "$flags" "k8s.io/kubernetes/cmd/$program"
  mv "$src/$program" "$bin/$program"
done
cd "$dir"
rm -rf "$src"
phase "built in $bin"
