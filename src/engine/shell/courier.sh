# The courier: c3's one connection into a container, the far end of a Kubernetes exec. It reads commands, one a line, from
# standard input and answers in frames on standard output (frames.ts). It starts steps but does not own them: a step lives
# under its own supervisor, so the connection may break at any byte and a new courier takes up where the files say it is.
# POSIX sh with ls, dd, sleep, mkdir, mv, rm, chmod; setsid is used where there is one.
#
# Layout of a step:  ROOT/BUILD/STEP/{env,script,log,pid,why,exit}   env is removed as soon as it was read.

umask 077
say() { printf '%s\n' "$*"; }

# Start time of a process in clock ticks since boot: with the process id it names one process for ever.
started() {
  read -r stat_line 2>/dev/null < "/proc/$1/stat" || return 1
  stat_line=${stat_line##*) }
  set -f; set -- $stat_line; set +f
  started_at=${20}
}

# root FIRST SECOND BUILD CONTAINER: the first of the two where files can be made. What a build left running here whose c3 died
# before it swept is killed now, before BUILD starts anything.
command_root() {
  root=
  for candidate in "$1" "$2"; do
    mkdir -p "$candidate" 2>/dev/null && [ -w "$candidate" ] && { root=$candidate; break; }
  done
  [ -n "$root" ] || { say "E no writable directory: neither $1 nor $2"; exit 1; }
  chmod 1777 "$root" 2>/dev/null
  container=$4
  for other in "$root"/*/; do
    other=${other%/}; other=${other##*/}
    if [ "$other" != "$3" ] && [ -d "$root/$other" ] && [ ! -e "$root/$other/swept.$container" ]; then
      kill_build "$other"
      [ -z "$left" ] || { say "E what build $other left running cannot be killed:$left"; exit 1; }
      : > "$root/$other/swept.$container"
    fi
  done 2>/dev/null
  say "R $root"
}

# Kills everything that carries a build's cookie, until nothing is left or it has tried often enough; left says what is.
kill_build() {
  round=0; left=1
  while [ -n "$left" ] && [ "$round" -lt 20 ]; do
    [ "$round" -gt 0 ] && nap "$short"
    round=$((round + 1)); left=
    for environ in /proc/[0-9]*/environ; do
      # grep is no help: busybox reads a line up to its first NUL. What is dead but not yet reaped has an empty environment.
      case $(tr '\000' '\n' < "$environ") in
        *"C3_BUILD_ID=$1"*)
          pid=${environ#/proc/}; pid=${pid%/environ}
          left="$left $pid"
          kill -KILL "$pid" ;;
      esac
    done 2>/dev/null
  done
}

# Copies lines from standard input to a file up to the end mark.
receive() {
  while IFS= read -r line; do
    [ "$line" = "$2" ] && return 0
    printf '%s\n' "$line"
  done > "$1"
  return 1
}

# launch BUILD STEP SECONDS GRACE MARK WORKDIR, then the lines of env, MARK, the lines of script, MARK.
# At most once: the supervisor's first act is to make the step's directory, and only one can.
command_launch() {
  [ -d "$root/$1" ] || { mkdir "$root/$1" 2>/dev/null; chmod 1777 "$root/$1" 2>/dev/null; }
  up=$root/$1/up.$2.$$
  mkdir -p "$up"
  receive "$up/env" "$5" && receive "$up/script" "$5" || { rm -rf "$up"; exit 1; }
  if [ -d "$root/$1/$2" ]; then rm -rf "$up"; return; fi
  $setsid sh -c "$supervisor" c3-supervisor "$up" "$root/$1/$2" "$3" "$4" "$6" "$$ $my_start" < /dev/null > /dev/null 2>&1 &
  launched=$!
}

# Sleeps $1 seconds, or less when a supervisor says with USR1 that a step has ended.
nap() {
  sleep "$1" & napping=$!
  wait "$napping"
  [ $? -gt 128 ] && { kill "$napping"; wait "$napping"; } 2>/dev/null
  return 0
}

is_alive() {
  [ -f "$step/pid" ] || return 1
  read -r pid pid_start < "$step/pid"
  started "$pid" && [ "$started_at" = "$pid_start" ]
}

# follow BUILD STEP OFFSET: sends the log from OFFSET, then how the step ended.
command_follow() {
  step=$root/$1/$2; offset=$3; tick=0; gone=0; quiet=0
  # The supervisor makes the directory and then the log; the launch may still be on its way.
  while [ ! -f "$step/log" ]; do
    tick=$((tick + 1))
    if [ "$tick" -lt "$patience" ]; then nap "$shortest"; else nap "$long"; fi
    if [ -d "$step" ]; then [ "$tick" -gt "$((patience + 75))" ] && { say "L"; return; }
    elif [ "$tick" -gt "$patience" ]; then say "N"; return; fi
  done
  printf '%s\n' "$$ $my_start" > "$step/reader.$$" && mv -f "$step/reader.$$" "$step/reader"
  exec 3< "$step/log"
  # Moves the shared file offset: dd seeks where it can.
  [ "$offset" -gt 0 ] && seek "$offset"
  tick=0
  while :; do
    # The exit file is looked for before the size is taken: what was written before it is then in the size.
    ended=; [ -f "$step/exit" ] && ended=1
    set -- $(ls -ln "$step/log"); size=$5
    if [ "$size" -gt "$offset" ]; then
      tick=0; gone=0; quiet=0
      send
      continue
    fi
    if [ -n "$ended" ]; then
      read -r code why < "$step/exit"
      say "X $offset $code $why"
      exec 3<&-
      # Its own child is collected, so that no zombie stays behind for a PID 1 that reaps no one. Twice: the first wait ends
      # early when the child's USR1 comes only now, after its exit file was seen.
      [ -n "$launched" ] && { wait "$launched" || wait "$launched"; } 2>/dev/null
      launched=
      return
    fi
    tick=$((tick + 1))
    if [ "$((tick % 8))" -eq 0 ] && ! is_alive && [ ! -f "$step/exit" ]; then
      gone=$((gone + 1))
      [ "$gone" -ge 3 ] && { say "L"; exec 3<&-; return; }
    fi
    if [ "$tick" -lt 4 ]; then nap "$shortest"; elif [ "$tick" -lt 12 ]; then nap "$short"; elif [ "$tick" -lt 40 ]; then nap "$medium"; else nap "$long"; fi
    quiet=$((quiet + 1))
    # A sign of life about every ten seconds keeps idle proxies from cutting, and ends a courier nobody listens to.
    [ "$quiet" -ge 24 ] && { quiet=0; say "H $offset"; }
  done
}

seek() {
  blocks=$(($1 / 65536)); rest=$(($1 % 65536))
  [ "$blocks" -gt 0 ] && dd bs=65536 skip="$blocks" count=0 <&3 2>/dev/null
  [ "$rest" -gt 0 ] && dd bs="$rest" count=1 <&3 > /dev/null 2>&1
  return 0
}

# One frame: at most 1 MiB, one read of a regular file that is at least that long.
send() {
  length=$((size - offset)); [ "$length" -gt 1048576 ] && length=1048576
  say "D $offset $length"
  dd bs="$length" count=1 <&3 2>/dev/null
  offset=$((offset + length))
}

# cancel BUILD STEP: a file, seen by the supervisor's watchdog; for a step that never started the claim itself is taken.
command_cancel() {
  mkdir -p "$root/$1"
  if mkdir "$root/$1/$2" 2>/dev/null; then
    : > "$root/$1/$2/log"; say "0 cancelled" > "$root/$1/$2/exit"
  else
    : > "$root/$1/$2/cancel"
  fi
  say "C"
}

# sweep BUILD: the build is over here. Also drops the files of all but the newest builds.
command_sweep() {
  kill_build "$1"
  [ -n "$left" ] || [ ! -d "$root/$1" ] || : > "$root/$1/swept.$container"
  keep=0
  for old in $(ls -t "$root" 2>/dev/null); do
    keep=$((keep + 1))
    [ "$keep" -gt 10 ] && rm -rf "${root:?}/$old" 2>/dev/null
  done
  if [ -z "$left" ]; then say "S clean"; else say "S left$left"; fi
}

trap : USR1
launched=
if command -v setsid > /dev/null 2>&1; then setsid=setsid; else setsid=; fi
# Not every sleep knows fractions.
if sleep 0.001 2>/dev/null; then shortest=0.004 short=0.015 medium=0.1 long=0.4 patience=200
else shortest=1 short=1 medium=1 long=1 patience=3; fi
started "$$"; my_start=$started_at
while read -r verb a b c d e f; do
  case $verb in
    root) command_root "$a" "$b" "$c" "$d" ;;
    launch) command_launch "$a" "$b" "$c" "$d" "$e" "$f" ;;
    follow) command_follow "$a" "$b" "$c" ;;
    cancel) command_cancel "$a" "$b" ;;
    sweep) command_sweep "$a" ;;
    quit) break ;;
    *) say "E unknown command $verb"; exit 1 ;;
  esac
done
exit 0
