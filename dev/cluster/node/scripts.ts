import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Ends with 127, and with runc's words on descriptor 3, unless ARGV[0] is an executable file. A shell's own `command
 * -v` would also find its built-in commands and, for a path, any file. Arguments: USER_COUNT USER_PROGRAM{USER_COUNT}
 * ARGV…
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
 * Builds a container's root and becomes its first process. It runs as process 1 of new mount, PID and UTS namespaces
 * (and, without root, of a user namespace in which it is root). The root is a tmpfs on an empty directory of the
 * machine:
 *
 * - An overlay shows each top-level directory of the machine. Its upper layer is in the tmpfs: the container sees the
 *   machine's programs, and its changes disappear with it. If the kernel cannot overlay a directory (another file
 *   system is mounted inside it), the directory itself is bound, read-only if the kernel allows that.
 * - /tmp and /run are new and empty, /proc shows the container's processes, /dev and /sys are the machine's. The file
 *   behind /etc/resolv.conf is bound, as the kubelet does, because it often is in /run.
 * - Volumes are bound after the change of root, so that no symbolic link of an image path can lead out of it.
 *
 * ROOT_SCRIPT (see {@link writeRootScript}) makes the common part of all containers of a cluster, in few processes.
 * Descriptor 3 reports the outcome: `ready PID` (the machine's number of this process), or the text of the error.
 * Arguments: ROOT_SCRIPT HOSTNAME RESOLV PATH WORKDIR SETSID COUNT (SOURCE TARGET ro|rw){COUNT}
 * USER_COUNT USER_PROGRAM{USER_COUNT} ARGV…
 */
export const INIT_SCRIPT: string = `
set -eu
${FIND_PROGRAM}
exec 2>&3
read -r pid rest < /proc/self/stat
. "$1"
hostname=$2 resolv=$3 path=$4 workdir=$5 setsid=$6 count=$7
shift 7
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
[ -d "$workdir" ] || mkdir -p "$workdir"
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
 * Writes the script that makes a container's root, and the table of its mounts, into `directory`; returns the
 * script's path. `root` is an empty directory. All containers can share it: each mounts its root on it in its own
 * namespace.
 */
export function writeRootScript(directory: string, root: string, isRoot: boolean): string {
  const top = readdirSync('/', { withFileTypes: true });
  const links = top.filter((entry) => entry.isSymbolicLink()).map(({ name }) => `/${name}`);
  const directories = top.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const special = ['proc', 'dev', 'sys', 'tmp', 'run', ...(isRoot ? [] : ['root'])];
  const overlays = directories.filter((name) => !special.includes(name));
  const at = escape(root);
  const table = [
    `proc ${at}/proc proc defaults`,
    `/dev ${at}/dev none rbind`,
    `/sys ${at}/sys none rbind`,
    ...overlays.map((name) => {
      const layer = `${at}/.layers/${escape(name)}`;
      const options = `lowerdir=/${escape(name)},upperdir=${layer}/upper,workdir=${layer}/work${isRoot ? '' : ',userxattr'}`;
      return `c3 ${at}/${escape(name)} overlay ${options}`;
    }),
  ];
  const [file, mounts] = [join(directory, 'make-root.sh'), join(directory, 'mounts')];
  writeFileSync(mounts, `${table.map((line) => `${line} 0 0`).join('\n')}\n`);
  const made = [
    '.old',
    'root',
    'tmp',
    ...directories,
    ...overlays.flatMap((name) => ['upper', 'work'].map((part) => `.layers/${name}/${part}`)),
  ];
  writeFileSync(
    file,
    `mount -t tmpfs -o mode=755 c3 ${quote(root)}
cd ${quote(root)}
mkdir -p ${made.map(quote).join(' ')}
chmod 1777 tmp
${links.length === 0 ? '' : `cp -P ${links.map(quote).join(' ')} .`}
mount --all --fstab ${quote(mounts)} 2> /dev/null || {
  mountpoint -q proc || mount --rbind /proc proc
  for entry in ${overlays.map(quote).join(' ')}; do
    mountpoint -q "$entry" && continue
    mount --rbind "/$entry" "$entry"
    mount -o remount,bind,ro "$entry" 2> /dev/null || :
  done
}
`,
  );
  return file;
}

/** Escapes a path for fstab(5). */
function escape(path: string): string {
  return path.replaceAll(' ', String.raw`\040`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/**
 * Starts the first process of the PID namespace and reports its end as a shell does: 128 + signal. `unshare --fork`
 * of util-linux 2.38 loses the signal ("sigprocmask unblock failed") and exits with 1.
 */
export const WAIT_SCRIPT: string = `exec 2> /dev/null; "$@"; exit $?`;

/**
 * Starts the program of an exec inside the container's namespaces, in its own session (as runc does).
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
 * Removes the cluster's directory after the cluster's process has ended: its stdin is a pipe that the kernel closes
 * then. The kernel kills the containers at the same time (parent-death signal). They may still write for a moment, so
 * it tries more than once. Argument: the directory.
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
