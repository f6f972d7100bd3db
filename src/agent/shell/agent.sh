# The agent: c3's end of a connection into a container, started by a Kubernetes exec. It reads commands from standard
# input, one a line, and answers in frames on standard output (frames.ts). A connection may break at any byte. All
# state of a step is in files, so the next agent continues from there. POSIX sh with ls, dd, sleep, mkdir, rm; it uses
# setsid where that exists.
#
# ROOT/                     the first of two directories that is writable; containers that share a volume share it
#   epoch.N                 a c3 has come with this epoch; the greatest counts. File names, so that no write can lower it
#   first                   "START MAC": when the first agent of the Pod started, in ticks since boot, with c3's MAC
#   BUILD/
#     begun.MS              when c3 first came with this build, by its clock
#     swept.CONTAINER       nothing of the build is left running there
#     journal.CONTAINER     what c3 noted of the build's state (journal.ts), for later readers; readable for everyone in the Pod
#     STEP.claim            "PID START" of the agent that runs the step: made once, by noclobber
#     STEP.log              both streams, in the order of writing
#     STEP.pid              "PID START CONTAINER" of the step's own process, leader of its session; or pending
#     STEP.why              cancelled, timed-out or log-limit: the watch ended it; or pending
#     STEP.cancel           the watch must end it
#     STEP.exit             "CODE WHY end", or pending. WHY: exited, out-of-memory (the kernel killed a process meanwhile), or as above.
#                           "0 exited end PROOF" when the step has passed: only its supervisor was given the proof
#     STEP.times            "SECONDS BYTES", a line for each second in which the log grew: its size at that second of the step
#     STEP.AGENT.report     who answers when the step ends: made once. "REPORTER WATCH", or empty when it is the agent

# Names begin with "_". A shell goes on exporting the variables of its environment, and a step must get the variables
# of its container unchanged, whatever their names.

umask 077
say() { printf '%s\n' "$*" || exit 1; }

# Succeeds when another c3 has come with a greater epoch.
is_stale() {
  for _seen in "$_root"/epoch.*; do
    [ "${_seen##*.}" -gt "$_epoch" ] && return 0
  done 2> /dev/null
  return 1
}

refuse() {
  say "E another c3 has taken over this Pod"
  exit 1
}

no_room() {
  say "E no space left in $_root"
  exit 1
}

# Makes a file unless it exists.
ensure() { claim "$1" "$2"; [ $? != 2 ] || no_room; }

# Sets _root to the first of two directories where files can be made.
find_root() {
  for _root in "$1" "$2"; do
    [ -d "$_root" ] || { mkdir -p "$_root" && chmod 1777 "$_root"; } 2> /dev/null
    [ -w "$_root" ] && return
  done
  say "E no writable directory: neither $1 nor $2"
  exit 1
}

# Refuses a container without what the agent needs: these programs, and a shell that computes beyond 31 bits.
check_needs() {
  # Some shells have no printf of their own, which `say` needs.
  command -v printf > /dev/null 2>&1 || { echo 'E the container has no program "printf", which c3 needs'; exit 1; }
  for _name in dd ls mkdir sleep chmod rm; do
    command -v "$_name" > /dev/null 2>&1 || { say "E the container has no program \"$_name\", which c3 needs"; exit 1; }
  done
  [ "$((2147483647 + 1))" -gt 0 ] || { say "E the container's shell computes with 32 bits only, which is not enough for c3"; exit 1; }
}

# root MODE BUILD CONTAINER EPOCH NOW NONCE, then two lines with a directory each: c3 comes with a build. The answer
# repeats NONCE: what an earlier build wrote into the connection is not the answer. When the c3 of another build died
# before its sweep, its processes are killed now, before BUILD starts anything. If a process is left or strange, BUILD
# does not run here. MODE "clear": the Lease shows that this c3 died. "use": only the files of the builds can show it,
# and steps can change these (threat model A3). "read": c3 only reads and changes nothing.
command_root() {
  check_needs
  _nonce=$6
  IFS= read -r _first && IFS= read -r _second || exit 1
  if [ "$1" = read ]; then
    # Every epoch is smaller: a reader does not take over the Pod, and no c3 takes it over from a reader.
    _epoch=999999999999999
    for _root in "$_first" "$_second"; do [ -d "$_root/$2" ] && break; done
    read_begun "$2"
  else
    find_root "$_first" "$_second"
    _container=$3 _epoch=$4
    take_over "$2" "$1"
    read_begun "$2"
    [ "$_begun" -gt 0 ] || { ensure "$_root/$2/begun.$5" ''; read_begun "$2"; }
  fi
  read_first
  say "R $_begun $_my_start $_noted_first $_mac $_nonce"
}

# take_over BUILD MODE
take_over() {
  ensure "$_root/epoch.$_epoch" ''
  is_stale && refuse
  [ -d "$_root/$1" ] || mkdir -m 1777 "$_root/$1" 2> /dev/null || [ -d "$_root/$1" ] || no_room
  _is_alone=
  if [ "$2" = clear ]; then
    find_origin
    _is_alone=$_is_contained
    [ -z "$_is_alone" ] || end_builds '' 0 "$1"
  fi
  for _other in "$_root"/*/; do
    _other=${_other%/} _other=${_other##*/}
    if [ "$_other" != "$1" ] && [ -d "$_root/$_other" ] && { [ "$2" = clear ] || [ ! -e "$_root/$_other/swept.$_container" ]; }; then
      [ -n "$_is_alone" ] || end_builds "$_other" 0
      ensure "$_root/$_other/swept.$_container" ''
    fi
  done
}

# Kills what builds left running, as clear_away does. Refuses the container if a process is left or strange.
end_builds() {
  clear_away "$@"
  [ -z "$_survivors$_strange" ] || { say "E processes of an earlier build may still run: $_survivors$_strange"; exit 1; }
}

# note BUILD TEXT: adds a line to the build's journal. Nothing depends on it: without room the line is lost.
command_note() {
  umask 022
  printf '%s\n' "$2" >> "$_root/$1/journal.$_container"
  umask 077
} 2> /dev/null

# tell BUILD NAME: sends the lines of the build's files whose names start with NAME. c3's files have no longer lines.
command_tell() {
  for _file in "$_root/$1/$2"*; do
    while IFS= read -r _line; do [ "${#_line}" -gt 4000 ] || say "J $_line"; done < "$_file"
  done 2> /dev/null
  say "T"
}

# Sets _begun. If two came at the same time, the earlier one counts.
read_begun() {
  _begun=0
  for _file in "$_root/$1"/begun.*; do [ -e "$_file" ] && { _begun=${_file##*.}; return; }; done
}

# cancel BUILD STEP: makes the watch end a step. Claims a step that has not started, so that it never starts.
command_cancel() {
  is_stale && refuse
  _step=$_root/$1/$2
  if claim "$_step.claim" "$_my_pid $_my_start"; then
    note "$_step.exit" "0 cancelled end" || no_room
  else
    ensure "$_step.cancel" ''
    read -r _pid _start _rest < "$_step.claim" && wake "$_step.$_pid-$_start"
  fi 2> /dev/null
  say "C"
}

# The watch ends a step with a larger log: most nodes would soon run out of disk.
_hard_cap=2147483648
# How many builds keep their files, for readers.
_kept_builds=10
# A zombie that PID 1 does not reap stays in the process table. A Pod may have about a thousand processes.
_max_zombies=200
# Not every sleep accepts fractions.
set_naps() {
  if sleep 0.001 2> /dev/null; then _short=0.015 _medium=0.1 _long=0.4
  else _short=1 _medium=1 _long=1
  fi
}

agent() {
  trap : TERM INT HUP
  examine self; _my_pid=$_pid _my_start=$_start _my_session=$_session
  while read -r _verb _a _b _c _d _e _f _g _h; do
    case $_verb in
      root) command_root "$_a" "$_b" "$_c" "$_d" "$_e" "$_f" ;;
      run) command_run "$_a" "$_b" "$_c" "$_d" "$_e" "$_f" "$_g" "$_h" ;;
      wait) _step=$_root/$_a/$_b; await_end ;;
      part) _step=$_root/$_a/$_b; part "$_c" "$_d" "$_e" "$_f" ;;
      note) command_note "$_a" "$_b" ;;
      tell) command_tell "$_a" "$_b" ;;
      cancel) command_cancel "$_a" "$_b" ;;
      sweep) command_sweep "$_a" "$_b" "$_c" ;;
      *) say "E unknown command $_verb"; exit 1 ;;
    esac
  done
}

set_naps
_setsid=$(command -v setsid)
# Agent and watch are the two ends of a pipe in the foreground: a process in the background would start with signals
# ignored. This shell reaps both. Descriptor 5 leads to the watch.
exec 4>&1
{ exec 5>&1 >&4 4>&-; agent; } | { exec 4>&-; watch; }
exit 0
