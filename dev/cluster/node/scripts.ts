/**
 * Ends with 127, and with runc's words on descriptor 3, unless ARGV[0] is a file that can be executed; a shell's own `command -v`
 * would also find its built-in commands and, for a path, any file. Arguments: USER_COUNT USER_PROGRAM{USER_COUNT} ARGV…
 */
const FIND_PROGRAM = `
refuse() {
  echo "unable to start container process: exec: \\"$1\\": $2: unknown" >&3
  exit 127
}
find_program() {
  shift "$(($1 + 1))"
  case $1 in
    */*)
      [ -e "$1" ] || refuse "$1" "stat $1: no such file or directory"
      [ -f "$1" ] && [ -x "$1" ] || refuse "$1" "permission denied"
      return 0 ;;
  esac
  set -f
  IFS=:
  for directory in $PATH; do
    if [ -n "$1" ] && [ -f "$directory/$1" ] && [ -x "$directory/$1" ]; then
      set +f
      unset IFS
      return 0
    fi
  done
  refuse "$1" "executable file not found in \\$PATH"
}`;

/**
 * Builds a container's root and becomes its first process. Runs as pid 1 of new mount, PID and UTS namespaces (and, without
 * root, of a user namespace in which it is root). The root is a tmpfs on an empty directory of the machine:
 *
 * - each top-level directory of the machine appears through an overlay whose upper layer is in the tmpfs: the container sees
 *   the machine's programs, and what it writes is gone with it. Where the kernel has no overlay of a directory (another file
 *   system is mounted inside it), the directory itself is bound, read-only where the kernel lets us;
 * - /tmp and /run are new and empty, /proc shows the container's processes, /dev and /sys are the machine's. The file behind
 *   /etc/resolv.conf is bound, as the kubelet does, because it often lies in /run;
 * - volumes are bound after the change of root, so that no symbolic link of an image path can lead out of it.
 *
 * Descriptor 3 tells the outcome: `ready PID` (the machine's number of this process), or the text of what went wrong.
 * Arguments: EMPTY_DIR OVERLAY_OPTIONS HOSTNAME RESOLV HOME_KIND PATH WORKDIR SETSID COUNT (SOURCE TARGET ro|rw){COUNT}
 * USER_COUNT USER_PROGRAM{USER_COUNT} ARGV…
 */
export const INIT_SCRIPT: string = `
set -eu
${FIND_PROGRAM}
exec 2>&3
root=$1 options=$2 hostname=$3 resolv=$4 home=$5 path=$6 workdir=$7 setsid=$8 count=$9
shift 9
read -r pid rest < /proc/self/stat
mount -t tmpfs -o mode=755 c3 "$root"
mkdir "$root/.layers" "$root/.old"
cd /
for entry in *; do
  if [ -L "$entry" ]; then ln -s "$(readlink "$entry")" "$root/$entry"; continue; fi
  [ -d "$entry" ] || continue
  mkdir -p "$root/$entry"
  case $entry in
    proc) mount -t proc proc "$root/proc" 2> /dev/null || mount --rbind /proc "$root/proc" ;;
    dev | sys) mount --rbind "/$entry" "$root/$entry" ;;
    tmp) chmod 1777 "$root/tmp" ;;
    run) ;;
    root) [ "$home" = machine ] && overlay=yes || overlay=no ;;
    *) overlay=yes ;;
  esac
  [ "\${overlay:-no}" = yes ] || continue
  overlay=no
  mkdir "$root/.layers/$entry" "$root/.layers/$entry/upper" "$root/.layers/$entry/work"
  layers=lowerdir=/$entry,upperdir=$root/.layers/$entry/upper,workdir=$root/.layers/$entry/work
  if ! mount -t overlay -o "$layers$options" c3 "$root/$entry" 2> /dev/null; then
    mount --rbind "/$entry" "$root/$entry"
    mount -o remount,bind,ro "$root/$entry" 2> /dev/null || :
  fi
done
mkdir -p "$root/root"
cd "$root"
pivot_root . .old
cd /
if [ -n "$resolv" ] && [ ! -e "$resolv" ]; then
  mkdir -p "\${resolv%/*}"
  : > "$resolv"
  mount --bind "/.old$resolv" "$resolv"
fi
while [ "$count" -gt 0 ]; do
  source=/.old$1 target=$2 mode=$3
  shift 3
  if [ -d "$source" ]; then mkdir -p "$target"
  elif [ ! -e "$target" ]; then mkdir -p "\${target%/*}"; : > "$target"; fi
  mount --rbind "$source" "$target"
  if [ "$mode" = ro ]; then mount -o remount,bind,ro "$target"; fi
  count=$((count - 1))
done
umount -l /.old
rmdir /.old
hostname "$hostname" 2> /dev/null || :
mkdir -p "$workdir"
cd "$workdir"
unset -v PWD OLDPWD
PATH=$path
find_program "$@"
shift
echo "ready $pid" >&3
exec 2>&1 3>&-
exec "$setsid" "$@"
`;

/**
 * Starts the first process of the PID namespace and tells how it ended as a shell does, 128 + signal. `unshare --fork` would
 * do, but that of util-linux 2.38 loses the signal ("sigprocmask unblock failed") and exits with 1.
 */
export const WAIT_SCRIPT: string = `exec 2> /dev/null; "$@"; exit $?`;

/**
 * The first act of an exec, inside the container's namespaces and in a session of its own (runc gives each exec one).
 * Descriptor 3 as above, `ready` alone. Arguments: WORKDIR PATH USER_COUNT USER_PROGRAM{USER_COUNT} ARGV…
 */
export const EXEC_SCRIPT: string = `
${FIND_PROGRAM}
cd "$1" 2>&3 || exit 126
PATH=$2
unset -v PWD OLDPWD
shift 2
find_program "$@"
shift
echo ready >&3
exec 3>&-
exec "$@"
`;

/**
 * Outlives the cluster by a moment: its stdin is a pipe that the kernel closes when the cluster's process dies, however it
 * dies; then it removes the directory. The containers are killed by the kernel at the same instant (parent-death signal), and
 * may still write for a moment, hence the second and later tries. Argument: the directory.
 */
export const JANITOR_SCRIPT: string = `
trap '' HUP INT TERM
read -r line
tries=0
while [ -e "$1" ] && [ "$tries" -lt 50 ]; do
  chmod -R u+rwX "$1" 2> /dev/null
  rm -rf "$1" 2> /dev/null && break
  tries=$((tries + 1))
  sleep 0.1
done
`;
