# The watch: a process beside the courier that keeps the limits of each step while the courier waits for its end, and has its
# output sent. It learns of a step by a line over a pipe, which ends with the courier. While a step is short, it does nothing.

watch() {
  trap '' USR1
  while read -r step mine seconds grace epoch; do
    root=${step%/*/*}
    is_over && continue
    nap "$short"
    is_over && continue
    live= child=
    if claim "$mine.tail" ''; then
      follow_live & live=$!
    elif is_over; then
      continue
    fi
    keep_limits
    [ -n "$live" ] && wait "$live"
  done
} 2> /dev/null

# Whether the step has ended, however: its exit code is there, or its files are not.
is_over() { ! read_exit || [ -n "$ended" ]; }

# Only who has announced itself is woken.
follow_live() {
  trap '' USR1
  examine self
  printf '%s\n' "$pid $parent" > "$mine.tail"
  follow 0 "$soft_cap"
}

# For as many seconds every one in which the log grew is noted, then every tenth: a shell reads notes slowly.
exact_seconds=7200

# Sets now, in seconds: a nap takes longer than it says, in a container with little of a CPU by a sixth. Where nobody tells, naps count.
take_time() { read -r now rest < /proc/uptime && now=${now%%.*} || now=$((now + 1)); } 2> /dev/null

keep_limits() {
  now=0 noted=0
  take_time
  began=$now
  while nap 1; ! is_over; do
    take_time
    elapsed=$((now - began))
    [ -n "$child" ] || { recall "$step.pid" && child=$word; }
    read -r pid start rest < "$step.claim" && ! is_alive "$pid" "$start" && {
      # Nobody is left to note how the step ends: it is lost, and must not go on unseen.
      signal KILL
      return
    }
    [ -f "$step.cancel" ] && { stop cancelled; return; }
    [ "$elapsed" -ge "$seconds" ] && { stop timed-out; return; }
    # A log fills the disk of its node long before anybody reads so much. `ulimit -f` would hit the step's own files too.
    take_size && [ "$size" -gt "$hard_cap" ] && { stop log-limit; return; }
    [ "$size" != "$noted" ] && { [ "$elapsed" -le "$exact_seconds" ] || [ "${elapsed%0}" != "$elapsed" ]; } && {
      noted=$size
      printf '%s %s\n' "$elapsed" "$size" >> "$step.times"
    }
  done
}

stop() {
  note "$step.why" "$1"
  signal TERM
  told=$tree
  nap "$medium"
  while ! is_over && [ "$grace" -gt 0 ]; do nap 1; grace=$((grace - 1)); done
  until is_over; do signal KILL; nap "$medium"; done
  # Those of no group that did not mind it have lost the parent by which they could be found.
  build=${step%/*}
  for pid in $told; do has_cookie "$pid" "${build##*/}" && kill -KILL "$pid"; done
}
