# The watch: a process beside the agent that keeps the limits of each step while the agent waits for its end, and has its
# output sent. It learns of a step by a line over a pipe, which ends with the agent. While a step is short, it does nothing.

watch() {
  trap '' USR1
  while read -r _step _mine _seconds _grace _epoch; do
    _root=${_step%/*/*}
    is_over && continue
    nap "$_short"
    is_over && continue
    _live= _child=
    if claim "$_mine.tail" ''; then
      follow_live & _live=$!
    elif is_over; then
      continue
    fi
    keep_limits
    [ -n "$_live" ] && wait "$_live"
  done
} 2> /dev/null

# Whether the step has ended, however: its exit code is there, or its files are not.
is_over() { ! read_exit || [ -n "$_ended" ]; }

# Only who has announced itself is woken.
follow_live() {
  trap '' USR1
  examine self
  printf '%s\n' "$_pid $_parent" > "$_mine.tail"
  follow 0 "$_soft_cap"
}

# For as many seconds every one in which the log grew is noted, then every tenth: a shell reads notes slowly.
_exact_seconds=7200

# Sets _now, in seconds: a nap takes longer than it says, in a container with little of a CPU by a sixth. Where nobody tells, naps count.
take_time() { read -r _now _rest < /proc/uptime && _now=${_now%%.*} || _now=$((_now + 1)); } 2> /dev/null

keep_limits() {
  _now=0 _noted=0
  take_time
  _began=$_now
  while nap 1; ! is_over; do
    take_time
    _elapsed=$((_now - _began))
    [ -n "$_child" ] || { recall "$_step.pid" && _child=$_word; }
    read -r _pid _start _rest < "$_step.claim" && ! is_alive "$_pid" "$_start" && {
      # Nobody is left to note how the step ends: it is lost, and must not go on unseen.
      signal KILL
      return
    }
    [ -f "$_step.cancel" ] && { stop cancelled; return; }
    [ "$_elapsed" -ge "$_seconds" ] && { stop timed-out; return; }
    # A log fills the disk of its node long before anybody reads so much. `ulimit -f` would hit the step's own files too.
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
  _told=$_tree
  nap "$_medium"
  while ! is_over && [ "$_grace" -gt 0 ]; do nap 1; _grace=$((_grace - 1)); done
  until is_over; do signal KILL; nap "$_medium"; done
  # Those of no group that did not mind it have lost the parent by which they could be found.
  _build=${_step%/*}
  for _pid in $_told; do has_cookie "$_pid" "${_build##*/}" && kill -KILL "$_pid"; done
}
