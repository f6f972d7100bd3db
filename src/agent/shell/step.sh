# Runs a step. The agent itself is the step's supervisor and waits for it in the foreground, so the step starts with
# no signal ignored, and only the step must be forked. The supervisor depends on nothing outside the container: after
# a cut it still writes the exit code.

# Reads lines up to the end mark into _taken, 64 at a time, since each append copies what is there. Variables and
# scripts are in no file: containers share the directory, and another container must neither read secrets there nor
# change what runs.
take_lines() {
  _taken= _part= _count=0
  while IFS= read -r _line; do
    [ "$_line" = "$1" ] && { _taken=$_taken$_part; return 0; }
    _part="$_part$_line
" _count=$((_count + 1))
    [ "$_count" -lt 64 ] || _taken=$_taken$_part _part= _count=0
  done
  return 1
}

# run BUILD STEP SECONDS GRACE PROOF MARK PLACE KIND, then a line with the work directory, the lines of env, MARK, the
# lines of script, MARK. Runs the step unless that was done before, and answers as `wait` does. The supervisor writes
# PROOF when the step has passed, so c3 knows who wrote it. PLACE is "must" when the step may start in the work
# directory only, "may" when the container's own will do. KIND is "script", or "checkout" for the script of shell.ts.
command_run() {
  _step=$_root/$1/$2 _mine=$_root/$1/$2.$_my_pid-$_my_start _proof=$5
  IFS= read -r _workdir && take_lines "$6" && _exports=$_taken && take_lines "$6" && _script=$_taken || exit 1
  [ "$8" != checkout ] || _script=$_checkout
  claim "$_step.claim" "$_my_pid $_my_start"
  case $? in
    1) await_end; return ;;
    2) no_room ;;
  esac
  # Reserves space for later notes, in case the disk is full by then.
  note "$_step.exit" pending && note "$_step.pid" pending && note "$_step.why" pending || no_room
  printf '%s\n' "$3 $4 $_epoch $_my_pid-$_my_start $_step" >&5
  count_kills; _kills_before=$_kills
  # Two commands in the braces: dash and busybox forget the output of a subshell that is alone in braces.
  { (become_step "$_workdir" "$7") < /dev/null >> "$_step.log" 2>&1 3<&- 5>&-; _code=$?; } 2> /dev/null
  _exports= _script= _taken=
  finish_step
}

# Sets _kills: how many processes of this container the kernel has killed for memory, or empty where it does not say.
# A container sees its own cgroup, of version 2 or 1: https://docs.kernel.org/admin-guide/cgroup-v2.html
# (memory.events)
count_kills() {
  _kills=
  for _file in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    while [ -z "$_kills" ] && read -r _word _number; do [ "$_word" = oom_kill ] && _kills=$_number; done < "$_file"
  done
} 2> /dev/null

# Becomes the step. Writes its process id before it checks the fence. A c3 that raises the fence reads the process
# ids after that (read_leaders). So the launch of a c3 that has lost the Pod either sees the fence here, or is found
# and killed there.
become_step() {
  examine self
  note "$_step.pid" "$_pid $_start $_container"
  is_stale && { note "$_step.pid" refused; exit 1; }
  # The variables of the build may have any name, so this function keeps what it needs in its arguments.
  set -- "$1" "$_setsid" "$_exports" "$_script" "$2"
  umask 022
  trap - USR1
  eval "$3"
  cd "$1" 2> /dev/null || { mkdir -p "$1" && cd "$1"; } 2> /dev/null || [ "$5" = may ] || {
    # Elsewhere it would test the files of the image, and pass.
    printf '%s\n' "c3: $1 cannot be entered or made: mount the volume of checkout.path in this container" >&2
    exit 126
  }
  # The script is not an argument, since `pkill -f` would find the step by its text. The step itself does not have the
  # variable.
  export C3_SCRIPT="$4"
  # busybox counts the lines of a -c text from 0, other shells from 1. The extra line end makes errors name the same
  # line everywhere.
  exec ${2:+"$2"} sh -e -c 'case $LINENO in 0) ;; *) shift ;; esac; eval "${1-}set --; unset C3_SCRIPT; $C3_SCRIPT"; exit' sh "
"
}

# The step has ended with $_code. Notes that and the reason, and answers unless a reporter has done so since the
# start.
finish_step() {
  _child= _why=exited
  recall "$_step.pid" && _child=$_word
  if [ "$_child" = refused ]; then
    # The c3 that has the Pod now may run this step.
    rm -f "$_step.log" "$_step.pid" "$_step.why" "$_step.exit" "$_step.claim"
    refuse
  fi
  [ "$_code" = 0 ] || { count_kills; [ "$_kills" = "$_kills_before" ] || _why=out-of-memory; }
  recall "$_step.why" && { _why=$_word; signal KILL; }
  _sign=
  [ "$_code $_why" != "0 exited" ] || _sign=$_proof
  _proof=
  # This fails when the step has removed the directory, which the next agent finds, or on a disk without room for the
  # first note.
  note "$_step.exit" "$_code $_why end $_sign" || { [ -d "${_step%/*}" ] && no_room; exit 1; }
  claim "$_mine.report" ''
  if [ $? = 1 ]; then wake "$_mine"; else await_end; fi
}

# Signals a step's process and its group. Without setsid there is no such group. Then it signals all descendants,
# listed in _tree.
signal() {
  _tree=
  if [ -n "$_setsid" ]; then
    kill "-$1" "-$_child"
  else
    for _entry in /proc/[0-9]*; do descends "${_entry#/proc/}" "$_child" && _tree="$_tree ${_entry#/proc/}"; done
    kill "-$1" $_tree
  fi
  kill "-$1" "$_child"
} 2> /dev/null

# Wakes the reporter and the watch of a step, if they are still the same processes.
wake() {
  read -r _reporter _watch < "$1.report" && examine "$_reporter" && [ "$_parent" = "$_watch" ] &&
    kill -USR1 "$_reporter" "$_watch"
} 2> /dev/null

# The watch: a process beside the agent. It keeps the limits of each step while the agent waits for the step's end,
# and starts the reporter. It reads one line a step from a pipe, which ends with the agent. It does nothing while a
# step is short.

watch() {
  trap '' USR1
  while read -r _seconds _grace _epoch _agent _step; do
    _root=${_step%/*/*} _mine=$_step.$_agent
    is_over && continue
    nap "$_short"
    is_over && continue
    _reporter= _child=
    if claim "$_mine.report" ''; then
      report_end & _reporter=$!
    elif is_over; then
      continue
    fi
    keep_limits
    [ -n "$_reporter" ] && wait "$_reporter"
  done
} 2> /dev/null

# Succeeds when the step has ended: its exit code exists, or its files are gone.
is_over() { ! read_exit || [ -n "$_ended" ]; }

# The reporter: a separate process, because a connection that accepts no bytes blocks its writer. `wake` wakes
# it once it has announced itself.
report_end() {
  trap '' USR1
  examine self
  printf '%s\n' "$_pid $_parent" > "$_mine.report"
  await_end
}

# The size of the log is noted each second for two hours, and each tenth second after that: a shell reads notes
# slowly.
_exact_seconds=7200

keep_limits() {
  _now=0 _noted=0
  take_time
  _began=$_now
  while nap 1; ! is_over; do
    take_time
    _elapsed=$((_now - _began))
    [ -n "$_child" ] || { recall "$_step.pid" && _child=$_word; }
    is_led || {
      # No process is left to write how the step ends: it is lost, so it must not continue.
      signal KILL
      return
    }
    [ -f "$_step.cancel" ] && { stop cancelled; return; }
    [ "$_elapsed" -ge "$_seconds" ] && { stop timed-out; return; }
    # A huge log fills the disk of its node. `ulimit -f` would limit the step's own files
    # too.
    take_size && [ "$_size" -gt "$_hard_cap" ] && { stop log-limit; return; }
    [ "$_size" != "$_noted" ] && { [ "$_elapsed" -le "$_exact_seconds" ] || [ "${_elapsed%0}" != "$_elapsed" ]; } && {
      _noted=$_size
      printf '%s %s\n' "$_elapsed" "$_size" >> "$_step.times"
    }
  done
}

stop() {
  note "$_step.why" "$1"
  signal TERM
  _signalled=$_tree
  nap "$_medium"
  while ! is_over && [ "$_grace" -gt 0 ]; do nap 1; _grace=$((_grace - 1)); done
  until is_over; do signal KILL; nap "$_medium"; done
  # A process that ignored TERM and has no group has lost the parent by which it could be found.
  _build=${_step%/*}
  for _pid in $_signalled; do has_cookie "$_pid" "${_build##*/}" && kill -KILL "$_pid"; done
}
