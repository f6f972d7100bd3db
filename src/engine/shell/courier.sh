# The courier: c3's end of a line in a container, started by a Kubernetes exec. It reads commands, one a line, from standard input
# and answers in frames on standard output (frames.ts). A connection may break at any byte: what a step is and was stands in files,
# and the next courier takes up where they say it is. POSIX sh with ls, dd, sleep, mkdir, rm; setsid is used where there is one.
#
# ROOT/                     the first of two directories that can be written; containers that share a volume share it
#   epoch.N                 a c3 has come with this epoch; the greatest counts. Names, so that none can lower it
#   processes.CONTAINER     what ran there before the first build
#   BUILD/
#     begun.MS              when c3 first came with this build, by its clock
#     swept.CONTAINER       nothing of the build is left running there
#     journal.CONTAINER     what c3 noted of the build's state (journal.ts), for who looks later; whoever is in the Pod may read it
#     STEP.claim            "PID START" of the courier that runs the step: made once, by noclobber
#     STEP.log              both streams, in the order of writing
#     STEP.pid              "PID START" of the step's own process, leader of its session; or pending
#     STEP.why              cancelled, timed-out or log-limit: the watch ended it; or pending
#     STEP.cancel           it is to be ended
#     STEP.exit             "CODE WHY end", or pending. WHY: exited, out-of-memory (a process was killed for it meanwhile), or as above.
#                           Of a step that has passed "0 exited end PROOF": c3's word for it, which nobody but its supervisor was told
#     STEP.times              "SECONDS BYTES", a line for each second in which the log grew: its size at that time of the step
#     STEP.COURIER.tail     who sends the end of the log: made once; "FOLLOWER WATCH" when that is not the courier

umask 077
say() { printf '%s\n' "$*" || exit 1; }

# Whether another c3 has come with a greater epoch.
is_stale() {
  for seen in "$root"/epoch.*; do
    [ "${seen##*.}" -gt "$epoch" ] && return 0
  done 2> /dev/null
  return 1
}

refuse() {
  say "E another c3 has taken over this Pod"
  exit 1
}

no_room() {
  say "E no space left in $root"
  exit 1
}

# Makes a file unless it is there.
ensure() { claim "$1" "$2"; [ $? != 2 ] || no_room; }

# The first of two directories where files can be made.
find_root() {
  for root in "$1" "$2"; do
    [ -d "$root" ] || { mkdir -p "$root" && chmod 1777 "$root"; } 2> /dev/null
    [ -w "$root" ] && return
  done
  say "E no writable directory: neither $1 nor $2"
  exit 1
}

# root FIRST SECOND BUILD CONTAINER EPOCH NOW: c3 comes with a build. What another build left running here whose c3 died before it
# swept is killed now, before BUILD starts anything.
command_root() {
  find_root "$1" "$2"
  container=$4 epoch=$5
  ensure "$root/epoch.$epoch" ''
  is_stale && refuse
  note_first_processes
  [ -d "$root/$3" ] || mkdir -m 1777 "$root/$3" 2> /dev/null || [ -d "$root/$3" ] || no_room
  for other in "$root"/*/; do
    other=${other%/} other=${other##*/}
    if [ "$other" != "$3" ] && [ -d "$root/$other" ] && [ ! -e "$root/$other/swept.$container" ]; then
      clear_away "$other"
      [ -z "$left" ] || { say "E what build $other left running cannot be killed: $left"; exit 1; }
      ensure "$root/$other/swept.$container" ''
    fi
  done
  read_begun "$3"
  [ "$begun" -gt 0 ] || { ensure "$root/$3/begun.$6" ''; read_begun "$3"; }
  say "R $begun $root"
}

# look FIRST SECOND BUILD: c3 comes to read, and leaves everything as it is. No epoch is greater than its: it takes the Pod from nobody.
command_look() {
  epoch=$no_cap
  for root in "$1" "$2"; do [ -d "$root/$3" ] && break; done
  read_begun "$3"
  say "R $begun $root"
}

# note BUILD TEXT: keeps a line of the build's journal. Nothing depends on it: where there is no room, it is lost.
command_note() {
  umask 022
  printf '%s\n' "$2" >> "$root/$1/journal.$container"
  umask 077
} 2> /dev/null

# tell BUILD NAME: sends the lines of all files of the build that begin so, but for those that no file of ours has.
command_tell() {
  for file in "$root/$1/$2"*; do
    while IFS= read -r line; do [ "${#line}" -gt 4000 ] || say "J $line"; done < "$file"
  done 2> /dev/null
  say "T"
}

# Where two came at once, the earlier counts.
read_begun() {
  begun=0
  for file in "$root/$1"/begun.*; do [ -e "$file" ] && { begun=${file##*.}; return; }; done
}

# cancel BUILD STEP: told to the watch; a step that never started is claimed, so that it never will.
command_cancel() {
  is_stale && refuse
  step=$root/$1/$2
  if claim "$step.claim" "$my_pid $my_start"; then
    note "$step.exit" "0 cancelled end" || no_room
  else
    ensure "$step.cancel" ''
    read -r pid start rest < "$step.claim" && wake "$step.$pid-$start"
  fi 2> /dev/null
  say "C"
}

# Log that is sent whole before the middle of it is left out, and the end that is sent then: nobody reads more than that live.
soft_cap=16777216 kept_end=65536
# A log never has a thousand terabytes: nothing is left out.
no_cap=1000000000000000
# A step that writes more is ended: most nodes would be out of disk soon.
hard_cap=2147483648
# Builds whose files are kept: for who looks into a Pod.
kept_builds=10
# What PID 1 does not reap stays in the table of processes, of which a Pod may have a thousand or so.
max_zombies=200
# Not every sleep knows fractions.
set_naps() {
  if sleep 0.001 2> /dev/null; then shortest=0.004 short=0.015 medium=0.1 long=0.4
  else shortest=1 short=1 medium=1 long=1
  fi
}

courier() {
  trap : TERM INT HUP
  examine self; my_pid=$pid my_start=$start my_session=$session
  while read -r verb a b c d e f g h; do
    case $verb in
      root) command_root "$a" "$b" "$c" "$d" "$e" "$f" ;;
      look) command_look "$a" "$b" "$c" ;;
      run) command_run "$a" "$b" "$c" "$d" "$e" "$f" "$g" "$h" ;;
      follow) step=$root/$a/$b; follow "$c" "$soft_cap" ;;
      read) step=$root/$a/$b; follow "$c" "$no_cap" ;;
      part) step=$root/$a/$b; part "$c" "$d" "$e" ;;
      note) command_note "$a" "$b" ;;
      tell) command_tell "$a" "$b" ;;
      cancel) command_cancel "$a" "$b" ;;
      sweep) command_sweep "$a" ;;
      *) say "E unknown command $verb"; exit 1 ;;
    esac
  done
}

set_naps
setsid=$(command -v setsid)
# Both ends of a pipe of a shell in the foreground: neither starts with signals ignored, as what is put in the background does, and
# this shell reaps both. Descriptor 5 leads to the watch.
exec 4>&1
{ exec 5>&1 >&4 4>&-; courier; } | { exec 4>&-; watch; }
exit 0
