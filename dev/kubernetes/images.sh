#!/usr/bin/env bash
# Makes small images from programs of this machine, because it cannot pull any: those of the seed example, and test
# images.
#   images.sh [build]   into the cache, $C3_CLUSTER_DIR/images/<hash of the inputs>
#   images.sh load      build, then load localhost/pause:1 and localhost/busybox:1 into containerd
#   images.sh push      build, then push the others into the registry
# An image is an OCI layout with one uncompressed layer, which needs only tar and sha256sum.
. "$(dirname "$0")/settings.sh"
need_root
lock images

debian_packages="dash bash coreutils sed grep findutils mawk tar gzip diffutils hostname libc-bin"
describe_inputs() {
  cat "$here/images.sh" "$here"/stand-ins/*
  # shellcheck disable=SC2086 # a list of words
  dpkg-query -W -f '${Package} ${Version}\n' $debian_packages git busybox-static
  sha256sum < "$bin/kubectl"
}
inputs=$(describe_inputs | sha256sum | cut -c1-16)
cache=$dir/images/$inputs
trees=$cache.trees

# Copies files to the same path below a root, with the libraries that they need. /bin, /lib and others are links into
# /usr there, as on Debian, so every file goes below /usr.
install_files() { # root, then files
  local root=$1 file place; shift
  # ldd fails for a script or a static program, which need no library.
  for file in "$@" $(ldd "$@" 2> /dev/null | grep -oE '/[^ :()]+' | sort -u || true); do
    place=$(realpath "$(dirname "$file")")
    case $place in /usr/*) ;; *) place=/usr$place ;; esac
    mkdir -p "$root$place"
    if [ -L "$file" ] && [[ $(readlink "$file") == */* ]]; then
      cp -L --remove-destination "$file" "$root$place/"
    elif [ -L "$file" ]; then
      cp -a --remove-destination "$file" "$root$place/"
      cp -a --remove-destination "$(realpath "$file")" "$root$place/"
    else
      cp -a --remove-destination "$file" "$root$place/"
    fi
  done
}

new_root() { # root
  mkdir -p "$1"/{usr/bin,usr/lib,usr/lib64,usr/local/bin,etc,root,tmp,config}
  ln -s bin "$1/usr/sbin"
  ln -s usr/bin "$1/bin"
  ln -s usr/bin "$1/sbin"
  ln -s usr/lib "$1/lib"
  ln -s usr/lib64 "$1/lib64"
  chmod 1777 "$1/tmp"
  chmod 777 "$1/config"
  printf '%s\n' root:x:0:0:root:/root:/bin/sh nobody:x:65534:65534:nobody:/nonexistent:/bin/sh \
    kubectl:x:2342:2342:kubectl:/config:/bin/sh > "$1/etc/passwd"
  printf '%s\n' root:x:0: nogroup:x:65534: kubectl:x:2342: > "$1/etc/group"
}

make_busybox() { # root: a small distribution, with busybox's sh
  local applet
  new_root "$1"
  cp /bin/busybox "$1/usr/bin/"
  for applet in $(/bin/busybox --list | grep -vx busybox); do ln -sf busybox "$1/usr/bin/$applet"; done
}

make_debian() { # root: Debian's own dash as sh, bash and coreutils; no ps, as in Debian's image
  local files
  new_root "$1"
  # shellcheck disable=SC2086 # a list of words
  mapfile -t files < <(dpkg -L $debian_packages | grep -E '^(/usr)?/s?bin/.' | sort -u)
  install_files "$1" "${files[@]}" "$(command -v setsid)"
  ln -sf dash "$1/usr/bin/sh"
  ln -sf mawk "$1/usr/bin/awk"
  cp -L /etc/os-release "$1/etc/"
}

make_git() { # root: git with submodules, http and https; what only a server or a mailer needs is left out
  local core; core=$(git --exec-path)
  make_busybox "$1"
  install_files "$1" "$(command -v git)" "$core/git-remote-http"
  cp -a "$core" "$1/usr/lib/"
  ln -sf ../../bin/git "$1/usr/lib/git-core/git"
  rm -f "$1"/usr/lib/git-core/git-{daemon,http-backend,http-push,imap-send,shell}
  mkdir -p "$1/usr/share/git-core" "$1/etc/ssl/certs"
  cp -a /usr/share/git-core/templates "$1/usr/share/git-core/"
  cp -L /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"
}

make_static() { # root: one static program, called with the name of what it is to do; no sh, nor any other name for it
  mkdir -p "$1"/{tmp,etc}
  cp /bin/busybox "$1/busybox"
}

# Writes an image from a tree of files: its name, the tree, the user of its programs (- for root), and a command as a
# JSON list.
image() {
  local name=$1 tree=$2 user=${3:--} command=${4:-'["/bin/sh"]'} layout layer content config manifest arch
  layout=$cache.partial/$name
  arch=$(dpkg --print-architecture)
  mkdir -p "$layout/blobs/sha256"
  blob() { # file: moves it to its place and prints what a descriptor says of it
    local digest size; digest=$(sha256sum < "$1"); digest=${digest%% *}; size=$(stat -c %s "$1")
    mv "$1" "$layout/blobs/sha256/$digest"
    echo "\"digest\": \"sha256:$digest\", \"size\": $size"
  }
  tar -C "$tree" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$layout/new" .
  content=$(sha256sum < "$layout/new") # uncompressed, so the layer's digest is that of its content
  layer=$(blob "$layout/new")
  cat > "$layout/new" <<J
{"architecture": "$arch", "os": "linux", "config": {"User": "${user#-}", "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Cmd": $command},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:${content%% *}"]}}
J
  config=$(blob "$layout/new")
  cat > "$layout/new" <<J
{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
 "config": {"mediaType": "application/vnd.oci.image.config.v1+json", $config},
 "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", $layer}]}
J
  cp "$layout/new" "$layout/manifest.json"
  manifest=$(blob "$layout/new")
  echo '{"imageLayoutVersion": "1.0.0"}' > "$layout/oci-layout"
  cat > "$layout/index.json" <<J
{"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", $manifest,
 "annotations": {"io.containerd.image.name": "$name"}}]}
J
}

build_images() {
  [ ! -d "$cache" ] || return 0
  say "making images in $cache"
  rm -rf "$dir"/images/*.partial "$dir"/images/*.trees
  make_busybox "$trees/busybox"
  make_debian "$trees/debian"
  make_git "$trees/git"
  cp -a "$trees/debian" "$trees/clojure"
  install -m 755 "$here/stand-ins/clojure" "$trees/clojure/usr/local/bin/clojure"
  cp -a "$trees/busybox" "$trees/kaniko"
  install -D -m 755 "$here/stand-ins/executor" "$trees/kaniko/kaniko/executor"
  cp -a "$trees/debian" "$trees/bash"
  ln -sf bash "$trees/bash/usr/bin/sh"
  cp -a "$trees/busybox" "$trees/plain"
  rm "$trees/plain/usr/bin/setsid"
  make_static "$trees/static"
  cp -a "$trees/busybox" "$trees/kubectl"
  install -m 755 "$bin/kubectl" "$trees/kubectl/usr/local/bin/kubectl"

  # pause holds a Pod's namespaces. It is a shell, because it must end at SIGTERM and reap the orphans of its Pod.
  image localhost/pause:1 "$trees/busybox" - \
    '["/bin/sh", "-c", "trap \"exit 0\" TERM INT; while :; do sleep 2147483647 & wait $!; done"]'
  image localhost/busybox:1 "$trees/busybox"
  image library/ubuntu:latest "$trees/debian"
  image alpine/git:latest "$trees/git"
  image library/clojure:openjdk-11-tools-deps "$trees/clojure"
  image cohalz/kaniko-alpine:latest "$trees/kaniko"
  image wernight/kubectl:latest "$trees/kubectl" 2342 # the user of the image it stands in for: not root
  image c3-test/busybox:latest "$trees/busybox"
  image c3-test/debian:latest "$trees/debian"
  image c3-test/bash:latest "$trees/bash"
  image c3-test/plain:latest "$trees/plain"
  image c3-test/static:latest "$trees/static" - '["/busybox", "sleep", "2147483647"]'
  image c3-test/nonroot:latest "$trees/busybox" 65534
  rm -rf "$trees"
  mv "$cache.partial" "$cache"
  # Removes older versions of the cache.
  find "$dir/images" -mindepth 1 -maxdepth 1 ! -name "$inputs" -exec rm -rf {} +
}

load_images() {
  local name loaded
  loaded=$(ctr -a "$socket" -n k8s.io images ls -q)
  for name in localhost/pause:1 localhost/busybox:1; do
    grep -qxF "$name" <<< "$loaded" && continue
    tar -C "$cache/$name" -c blobs oci-layout index.json | ctr -a "$socket" -n k8s.io images import - > /dev/null
  done
}

http() { curl -fsS --noproxy '*' "$@"; }

push_blob() { # repository, file
  local upload digest; digest=sha256:$(basename "$2")
  if http -I "$registry/v2/$1/blobs/$digest" > /dev/null 2>&1; then return; fi
  upload=$(http -X POST -D - -o /dev/null "$registry/v2/$1/blobs/uploads/" | tr -d '\r' | sed -n 's/^Location: //Ip')
  case $upload in *\?*) upload="$upload&" ;; *) upload="$upload?" ;; esac
  http -T "$2" -H 'Content-Type: application/octet-stream' "${upload}digest=$digest" > /dev/null
}

push_images() {
  local layout name repository blob
  [ ! -f "$run/registry/pushed-$inputs" ] || return 0
  say "pushing images into $registry"
  while read -r layout; do
    layout=$(dirname "$layout")
    name=${layout#"$cache/"}
    repository=${name%:*}
    for blob in "$layout"/blobs/sha256/*; do push_blob "$repository" "$blob"; done
    http -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$layout/manifest.json" \
      "$registry/v2/$repository/manifests/${name##*:}"
  done < <(find "$cache" -name oci-layout ! -path '*/localhost/*')
  touch "$run/registry/pushed-$inputs"
}

registry=http://127.0.0.1:$registry_port
build_images
case ${1:-build} in
  build) ;;
  load) load_images ;;
  push) push_images ;;
  *) fail "no such action: \"$1\" (usage: images.sh [build|load|push])" ;;
esac
