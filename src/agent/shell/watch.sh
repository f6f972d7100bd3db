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
