# The agent: c3's end of a line in a container, started by a Kubernetes exec. It reads commands, one a line, from standard input
# and answers in frames on standard output (frames.ts). A connection may break at any byte: what a step is and was stands in files,
# and the next agent takes up where they say it is. POSIX sh with ls, dd, sleep, mkdir, rm; setsid is used where there is one.
#
# ROOT/                     the first of two directories that can be written; containers that share a volume share it
#   epoch.N                 a c3 has come with this epoch; the greatest counts. Names, so that none can lower it
#   processes.CONTAINER     what ran there before the first build
#   BUILD/
#     begun.MS              when c3 first came with this build, by its clock
#     swept.CONTAINER       nothing of the build is left running there
#     journal.CONTAINER     what c3 noted of the build's state (journal.ts), for who looks later; whoever is in the Pod may read it
#     STEP.claim            "PID START" of the agent that runs the step: made once, by noclobber
#     STEP.log              both streams, in the order of writing
#     STEP.pid              "PID START" of the step's own process, leader of its session; or pending
#     STEP.why              cancelled, timed-out or log-limit: the watch ended it; or pending
#     STEP.cancel           it is to be ended
#     STEP.exit             "CODE WHY end", or pending. WHY: exited, out-of-memory (a process was killed for it meanwhile), or as above.
#                           Of a step that has passed "0 exited end PROOF": c3's word for it, which nobody but its supervisor was told
#     STEP.times              "SECONDS BYTES", a line for each second in which the log grew: its size at that time of the step
#     STEP.COURIER.tail     who sends the end of the log: made once; "FOLLOWER WATCH" when that is not the agent

# Names begin with "_": a shell goes on exporting what came in its environment, and a step is to have the variables of its container
# as they are, whatever they are called.

umask 077
say() { printf '%s\n' "$*" || exit 1; }

# Whether another c3 has come with a greater epoch.
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

# Makes a file unless it is there.
ensure() { claim "$1" "$2"; [ $? != 2 ] || no_room; }

# The first of two directories where files can be made.
find_root() {
  for _root in "$1" "$2"; do
    [ -d "$_root" ] || { mkdir -p "$_root" && chmod 1777 "$_root"; } 2> /dev/null
    [ -w "$_root" ] && return
  done
  say "E no writable directory: neither $1 nor $2"
  exit 1
}

# root FIRST SECOND BUILD CONTAINER EPOCH NOW: c3 comes with a build. What another build left running here whose c3 died before it
# swept is killed now, before BUILD starts anything.
command_root() {
  find_root "$1" "$2"
  _container=$4 _epoch=$5
  ensure "$_root/epoch.$_epoch" ''
  is_stale && refuse
  note_first_processes
  [ -d "$_root/$3" ] || mkdir -m 1777 "$_root/$3" 2> /dev/null || [ -d "$_root/$3" ] || no_room
  for _other in "$_root"/*/; do
    _other=${_other%/} _other=${_other##*/}
    if [ "$_other" != "$3" ] && [ -d "$_root/$_other" ] && [ ! -e "$_root/$_other/swept.$_container" ]; then
      clear_away "$_other"
      [ -z "$_left" ] || { say "E what build $_other left running cannot be killed: $_left"; exit 1; }
      ensure "$_root/$_other/swept.$_container" ''
    fi
  done
  read_begun "$3"
  [ "$_begun" -gt 0 ] || { ensure "$_root/$3/begun.$6" ''; read_begun "$3"; }
  say "R $_begun $_root"
}

# look FIRST SECOND BUILD: c3 comes to read, and leaves everything as it is. No epoch is greater than its: it takes the Pod from nobody.
command_look() {
  _epoch=$_no_cap
  for _root in "$1" "$2"; do [ -d "$_root/$3" ] && break; done
  read_begun "$3"
  say "R $_begun $_root"
}

# note BUILD TEXT: keeps a line of the build's journal. Nothing depends on it: where there is no room, it is lost.
command_note() {
  umask 022
  printf '%s\n' "$2" >> "$_root/$1/journal.$_container"
  umask 077
} 2> /dev/null

# tell BUILD NAME: sends the lines of all files of the build that begin so, but for those that no file of ours has.
command_tell() {
  for _file in "$_root/$1/$2"*; do
    while IFS= read -r _line; do [ "${#_line}" -gt 4000 ] || say "J $_line"; done < "$_file"
  done 2> /dev/null
  say "T"
}

# Where two came at once, the earlier counts.
read_begun() {
  _begun=0
  for _file in "$_root/$1"/begun.*; do [ -e "$_file" ] && { _begun=${_file##*.}; return; }; done
}

# cancel BUILD STEP: told to the watch; a step that never started is claimed, so that it never will.
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

# Log that is sent whole before the middle of it is left out, and the end that is sent then: nobody reads more than that live.
_soft_cap=16777216 _kept_end=65536
# A log never has a thousand terabytes: nothing is left out.
_no_cap=1000000000000000
# A step that writes more is ended: most nodes would be out of disk soon.
_hard_cap=2147483648
# Builds whose files are kept: for who looks into a Pod.
_kept_builds=10
# What PID 1 does not reap stays in the table of processes, of which a Pod may have a thousand or so.
_max_zombies=200
# Not every sleep knows fractions.
set_naps() {
  if sleep 0.001 2> /dev/null; then _shortest=0.004 _short=0.015 _medium=0.1 _long=0.4
  else _shortest=1 _short=1 _medium=1 _long=1
  fi
}

agent() {
  trap : TERM INT HUP
  examine self; _my_pid=$_pid _my_start=$_start _my_session=$_session
  while read -r _verb _a _b _c _d _e _f _g _h; do
    case $_verb in
      root) command_root "$_a" "$_b" "$_c" "$_d" "$_e" "$_f" ;;
      look) command_look "$_a" "$_b" "$_c" ;;
      run) command_run "$_a" "$_b" "$_c" "$_d" "$_e" "$_f" "$_g" "$_h" ;;
      follow) _step=$_root/$_a/$_b; follow "$_c" "$_soft_cap" ;;
      read) _step=$_root/$_a/$_b; follow "$_c" "$_no_cap" ;;
      part) _step=$_root/$_a/$_b; part "$_c" "$_d" "$_e" ;;
      note) command_note "$_a" "$_b" ;;
      tell) command_tell "$_a" "$_b" ;;
      cancel) command_cancel "$_a" "$_b" ;;
      sweep) command_sweep "$_a" ;;
      *) say "E unknown command $_verb"; exit 1 ;;
    esac
  done
}

set_naps
_setsid=$(command -v setsid)
# Both ends of a pipe of a shell in the foreground: neither starts with signals ignored, as what is put in the background does, and
# this shell reaps both. Descriptor 5 leads to the watch.
exec 4>&1
{ exec 5>&1 >&4 4>&-; agent; } | { exec 4>&-; watch; }
exit 0
