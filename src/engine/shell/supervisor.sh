# The supervisor of one step:  UP STEP SECONDS GRACE WORKDIR COURIER
# UP holds env and script; STEP is the directory whose making is the claim; SECONDS the time limit; GRACE the seconds between
# TERM and KILL; WORKDIR where to start; COURIER "PID STARTTIME", who is told of the end. It needs nobody outside the container: the limit holds while c3 is away.
up=$1; step=$2; seconds=$3; grace=$4; workdir=$5; courier=$6
if ! mkdir "$step" 2>/dev/null; then rm -rf "$up"; exit 0; fi
umask 077
mv "$up/env" "$up/script" "$step/" && rmdir "$up" && cd "$step" || exit 1

started() {
  read -r stat_line 2>/dev/null < "/proc/$1/stat" || return 1
  stat_line=${stat_line##*) }
  set -f; set -- $stat_line; set +f
  started_at=${20}
}
started "$$"
# A handler, not '': an ignored signal would be inherited by the step.
trap 'interrupted=1' TERM INT HUP USR1
printf '%s\n' "$$ $started_at" > pid
: > log

run='umask 022
. "$1/env"
rm -f "$1/env"
cd "$2" 2>/dev/null || { mkdir -p "$2" && cd "$2"; } 2>/dev/null
exec sh -e "$1/script"'
# One descriptor in append mode for both streams keeps the order of writing.
if command -v setsid > /dev/null 2>&1; then setsid=setsid; else setsid=; fi
$setsid sh -c "$run" c3-step "$step" "$workdir" < /dev/null >> log 2>&1 & child=$!

# Without setsid there is no group of that number: so the process is always signalled as well.
signal() { kill "-$1" "-$child" 2>/dev/null; kill "-$1" "$child" 2>/dev/null; }

stop() {
  printf '%s\n' "$1" > why.tmp && mv why.tmp why
  signal TERM
  sleep 0.1 2>/dev/null
  while [ "$grace" -gt 0 ] && kill -0 "$child" 2>/dev/null; do sleep 1; grace=$((grace - 1)); done
  signal KILL
}

watchdog() {
  # A process of its own: every child is waited for, so that nothing is left for a PID 1 that reaps no one.
  trap 'kill "$!" 2>/dev/null; wait "$!" 2>/dev/null; exit 0' TERM
  elapsed=0
  while :; do
    sleep 1 &
    wait "$!"
    elapsed=$((elapsed + 1))
    # The signal that ends this loop can be lost: a shell that was just forked has its parent's handlers for a moment.
    [ -f exit ] && exit 0
    # Nobody is left to note how the step ends: it is lost, and must not go on unseen.
    kill -0 "$$" 2>/dev/null || { signal KILL; exit 0; }
    [ -f cancel ] && { trap '' TERM; stop cancelled; exit 0; }
    [ "$elapsed" -ge "$seconds" ] && { trap '' TERM; stop timed-out; exit 0; }
    set -- $(ls -ln log)
    [ "$5" -gt 2147483648 ] && { trap '' TERM; stop log-limit; exit 0; }
  done
}
watchdog < /dev/null > /dev/null 2>&1 & dog=$!

# wait returns early when a signal was trapped; then it says nothing about the child.
while :; do
  interrupted=
  wait "$child"; code=$?
  [ -z "$interrupted" ] && break
done
kill -TERM "$dog" 2>/dev/null
why=exited
# Written before the first signal: what the watchdog ends has a reason here. Then it heeds no TERM, and ends by itself.
if [ -f why ]; then wait "$dog" 2>/dev/null; read -r why < why; signal KILL; fi
printf '%s\n' "$code $why" > exit.tmp && mv exit.tmp exit

# Wake the courier, if it is still the process it was: its number may belong to another by now.
[ -f reader ] && read -r courier < reader
if started "${courier% *}" && [ "$started_at" = "${courier#* }" ]; then kill -USR1 "${courier% *}" 2>/dev/null; fi
wait "$dog" 2>/dev/null
exit 0
