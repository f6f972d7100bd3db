# Reports a step's log and how the step ended.

# Sets _ended, _code, _why and _sign from the exit file. Fails when the step's files are gone.
read_exit() {
  _ended=
  read -r _code _why _end _sign 2> /dev/null < "$_step.exit" || return 1
  # A shell reads byte by byte. A line that starts as "pending" may end as the exit code that replaced it meanwhile.
  case $_code in p*) ;; *) [ "$_end" = end ] && _ended=1 ;; esac
  return 0
}

# Sets _size. Starts no process for an empty log.
take_size() {
  _size=0
  [ -s "$_step.log" ] || return 0
  set -- $(ls -ln "$_step.log" 2> /dev/null)
  _size=${5:-0}
}

# Sets _now, in seconds. Counting sleeps is not exact: in a container with little CPU a sleep is a sixth longer. It is
# the fallback without /proc/uptime.
take_time() { read -r _now _rest < /proc/uptime && _now=${_now%%.*} || _now=$((_now + 1)); } 2> /dev/null

# The end of a log that goes with a heartbeat: 8 KiB are shown, and masking needs some bytes before them.
_end_bytes=8256
# A log up to this size goes whole with the exit: one `dd` is enough then.
_small_log=65536
# A heartbeat without news after this many seconds keeps idle proxies from cutting, and ends an agent without a
# listener.
_quiet_seconds=10

# wait BUILD STEP: waits for the end of $_step, which some agent runs. Sends heartbeats until then: at most one a
# second.
await_end() {
  _tick=0 _missed=0 _told=0 _now=0
  take_time
  _seen_at=$_now _beat_at=$_now
  while :; do
    if ! read_exit; then
      is_awaited && { nap "$_medium"; continue; }
      report_missing
      return
    fi
    [ -z "$_ended" ] || { report_exit; return; }
    _tick=$((_tick + 1))
    if [ "$_tick" -le 4 ]; then nap "$_short"
    elif [ "$_tick" -le 14 ]; then nap "$_medium"
    else nap "$_long"
    fi
    if is_led; then
      beat
    elif read_exit && [ -z "$_ended" ]; then
      # It may have written the exit code just before it ended, so the file is read again.
      report "L its supervisor in the container was killed"
      return
    fi
  done
}

# Reports the size of the log, and its end where it grew.
beat() {
  take_time
  [ "$_now" != "$_seen_at" ] || return 0
  _seen_at=$_now
  take_size
  if [ "$_size" != "$_told" ]; then send_end "$_end_bytes"
  elif [ "$((_now - _beat_at))" -lt "$_quiet_seconds" ]; then return 0
  fi
  _told=$_size _beat_at=$_now
  say "H $_size"
}

# Sends how a step ended. A c3 that lost the Pod to another c3 gets nothing: the other c3 raises the fence and then
# kills what runs here, and such an end is not the result of the step.
report() {
  is_stale && refuse
  say "$1"
}

report_exit() {
  take_size
  send_end "$_small_log"
  report "X $_size $_code $_why $_end $_sign"
}

# Succeeds when the agent that runs the step is alive.
is_led() { read -r _pid _start _rest 2> /dev/null < "$_step.claim"; is_alive "$_pid" "$_start"; }

# Succeeds when the step was claimed a moment ago, so that its files come next. A claim exists before it has content,
# so a claim of a process that does not seem to run is tolerated for a while.
is_awaited() {
  [ -e "$_step.claim" ] && [ ! -e "$_step.log" ] || return 1
  is_led && return 0
  _missed=$((_missed + 1))
  [ "$_missed" -lt 10 ]
}

# There is no exit file: the step never started, or it removed what was there.
report_missing() {
  if [ ! -d "${_step%/*}" ] || [ -e "$_step.log" ]; then
    report "L its files in $_root were removed while it ran"
  elif [ -e "$_step.claim" ]; then
    report "L the agent that claimed it in the container is gone and left no result"
  else
    report "N"
  fi
}

# part OFFSET BASE CAP BLOCKS: sends one frame of the log from OFFSET on, BLOCKS times 128 KiB at most, and then how
# the step ended or that this is all for now. Waits for nothing and writes nothing. Beyond CAP only the end of the log
# is sent. A step can empty its log by `echo > /dev/stderr`: BASE is the number of bytes that were sent before that,
# as the last answer said.
_kept_end=65536
part() {
  _offset=$1 _base=$2 _cap=$3 _most_blocks=$4
  if ! read_exit; then
    if [ "$_offset" -gt 0 ] || [ -e "$_step.log" ]; then say "L its files in $_root were removed"; else say "N"; fi
    return
  fi
  take_size
  [ "$_size" -lt "$((_offset - _base))" ] && _base=$_offset
  _size=$((_base + _size)) _unsent=$((_size - _offset))
  if [ "$_unsent" -gt 0 ]; then
    if [ "$_offset" -lt "$_cap" ]; then
      [ "$_unsent" -le "$((_cap - _offset))" ] || _unsent=$((_cap - _offset))
    elif [ "$_unsent" -gt "$_kept_end" ]; then
      _unsent=$_kept_end
      say "K $_offset $((_size - _unsent))"
      _offset=$((_size - _unsent))
    fi
    if [ "$_unsent" -ge 131072 ]; then
      _blocks=$((_unsent / 131072))
      [ "$_blocks" -le "$_most_blocks" ] || _blocks=$_most_blocks
      send "$_blocks" 131072
    else
      send 1 "$_unsent"
    fi
  fi
  if [ "$_size" -gt "$_offset" ]; then say "P $_offset $_base"
  elif [ -n "$_ended" ]; then say "X $_offset $_code $_why $_end $_sign"
  elif is_led || ! read_exit || [ -n "$_ended" ]; then say "P $_offset $_base"
  else say "L its supervisor in the container was killed"
  fi
}

# Sends the end of a log of $_size bytes: all of it up to LIMIT, else at least $_end_bytes.
send_end() {
  _offset=0 _base=0
  [ "$_size" -le "$1" ] || _offset=$(((_size - _end_bytes) / 4096 * 4096))
  [ "$_size" -le "$_offset" ] || send 1 "$((_size - _offset))"
}

# Sends a frame of COUNT blocks of BYTES bytes from $_offset on. The file has them, unless the step empties it at this
# moment. Zeros then replace the missing bytes, because a short frame would end the connection.
send() {
  {
    say "D $_offset $(($1 * $2))"
    seek "$((_offset - _base))"
    dd bs="$2" count="$1" <&3 2> /dev/null || exit 1
    _offset=$((_offset + $1 * $2))
    read -r _word _position 2> /dev/null < /proc/self/fdinfo/3 || return 0
  } 3< "$_step.log" || return 0
  _gap=$((_offset - _base - _position))
  [ "$_gap" -gt 0 ] || return 0
  dd if=/dev/zero bs="$_gap" count=1 2> /dev/null || exit 1
  _base=$((_offset - _position)) _size=$_offset
}

# Moves descriptor 3 to a position.
seek() {
  _skipped=$(($1 / 4096)) _rest=$(($1 % 4096))
  [ "$_skipped" -gt 0 ] && dd bs=4096 skip="$_skipped" count=0 <&3 2> /dev/null
  [ "$_rest" -gt 0 ] && dd bs="$_rest" count=1 <&3 > /dev/null 2>&1
  return 0
}
