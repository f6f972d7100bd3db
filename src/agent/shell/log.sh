# Sending a step's log and how it ended.

# Sets _ended, _code, _why and _sign. Fails when the step's files are gone.
read_exit() {
  _ended=
  read -r _code _why _end _sign 2> /dev/null < "$_step.exit" || return 1
  # A shell reads byte by byte: what began as "pending" may end as the exit code that was written meanwhile.
  case $_code in p*) ;; *) [ "$_end" = end ] && _ended=1 ;; esac
  return 0
}

# Sets _size. Asks nobody about a log that is still empty.
take_size() {
  _size=0
  [ -s "$_step.log" ] || return 0
  set -- $(ls -ln "$_step.log" 2> /dev/null)
  _size=${5:-0}
}

# follow OFFSET CAP: sends $_step's log from OFFSET, then how it ended. Of what lies beyond CAP only the end is sent.
follow() {
  _offset=$1 _cap=$2 _base=0 _tick=0 _quiet=0 _opened= _missed=0
  while :; do
    # The exit code is looked for before the size is taken: what was written before it is then in the size.
    if ! read_exit; then
      is_awaited && { nap "$_medium"; continue; }
      tell_missing
      break
    fi
    take_size
    # `echo … > /dev/stderr` opens the log anew and empties it. What was there is gone; what is there now comes next.
    [ "$_size" -lt "$((_offset - _base))" ] && _base=$_offset _opened=
    _size=$((_base + _size))
    if [ "$_size" -gt "$_offset" ]; then
      [ -n "$_opened" ] || { exec 3< "$_step.log"; seek "$((_offset - _base))"; _opened=1; }
      while [ "$_size" -gt "$_offset" ]; do send; done
      _tick=0 _quiet=0
    fi
    [ -n "$_ended" ] && { conclude "X $_offset $_code $_why $_sign"; break; }
    _tick=$((_tick + 1)) _quiet=$((_quiet + 1))
    if [ "$_tick" -lt 4 ]; then nap "$_shortest"
    elif [ "$_tick" -lt 12 ]; then nap "$_short"
    else
      # It may have noted the exit code in the moment before it ended.
      is_led || { read_exit && [ -z "$_ended" ] && { conclude "L its supervisor in the container was killed"; break; }; }
      if [ "$_tick" -lt 40 ]; then nap "$_medium"; else nap "$_long"; fi
    fi
    # A sign of life about every ten seconds keeps idle proxies from cutting, and ends an agent nobody listens to.
    [ "$_quiet" -ge 24 ] && { _quiet=0; say "H $_offset"; }
  done
  exec 3<&-
}

# part OFFSET BASE CAP: sends one frame of what there is of $_step's log from OFFSET on, as `follow` would, and how the step ended, or
# that this is all for now. For who asks again when there is time: nothing waits here, and nothing is written. BASE is what the last
# answer said: how much had been sent when the log was emptied.
part() {
  _offset=$1 _base=$2 _cap=$3 _most_blocks=2
  # Who wants all of it takes it as fast as it comes; of those who read along there may be hundreds.
  [ "$_cap" -le "$_soft_cap" ] || _most_blocks=8
  if read_exit; then
    take_size
    [ "$_size" -lt "$((_offset - _base))" ] && _base=$_offset
    _size=$((_base + _size))
    if [ "$_size" -gt "$_offset" ]; then
      exec 3< "$_step.log"
      seek "$((_offset - _base))"
      send
      exec 3<&-
    fi
    if [ "$_size" -gt "$_offset" ]; then say "P $_offset $_base"
    elif [ -n "$_ended" ]; then say "X $_offset $_code $_why $_sign"
    elif is_led || ! read_exit || [ -n "$_ended" ]; then say "P $_offset $_base"
    else say "L its supervisor in the container was killed"
    fi
  elif [ "$_offset" -gt 0 ] || [ -e "$_step.log" ]; then
    say "L its files in $_root were removed"
  else
    say "N"
  fi
  _most_blocks=32
}

# Whether the agent that runs the step lives; while its files are being removed, whether it lived a moment ago.
is_led() { read -r _pid _start _rest 2> /dev/null < "$_step.claim"; is_alive "$_pid" "$_start"; }

# The last word on a step. None of it to a c3 that another has relieved of the Pod: that one kills what runs there, after it has
# raised the fence, and such an end is not how the step ended.
conclude() {
  is_stale && refuse
  say "$1"
}

# Whether the step was claimed a moment ago, so that its files come next. A claim is made before it is filled: hence the patience
# with one whose maker does not seem to live.
is_awaited() {
  [ -e "$_step.claim" ] && [ ! -e "$_step.log" ] || return 1
  read -r _pid _start _rest 2> /dev/null < "$_step.claim" && is_alive "$_pid" "$_start" && return 0
  _missed=$((_missed + 1))
  [ "$_missed" -lt 10 ]
}

# There is no exit file: the step never started, or has removed what was there.
tell_missing() {
  if [ ! -d "${_step%/*}" ] || [ "$_offset" -gt 0 ] || [ -e "$_step.log" ]; then
    conclude "L its files in $_root were removed while it ran"
  elif [ -e "$_step.claim" ]; then
    conclude "L who was to run it in the container is gone, and nothing there tells of it"
  else
    conclude "N"
  fi
}

seek() {
  _blocks=$(($1 / 65536)) _rest=$(($1 % 65536))
  [ "$_blocks" -gt 0 ] && dd bs=65536 skip="$_blocks" count=0 <&3 2> /dev/null
  [ "$_rest" -gt 0 ] && dd bs="$_rest" count=1 <&3 > /dev/null 2>&1
  return 0
}

# Blocks of a frame.
_most_blocks=32

# One frame: whole blocks of 128 KiB, 4 MiB at most, or what is left of one. A regular file gives what it is asked for, unless the
# step empties it in this very moment: then zeros make up for what is gone, for a short frame would be the end of the line.
send() {
  _left=$((_size - _offset))
  if [ "$_offset" -ge "$_cap" ] && [ "$_left" -gt "$_kept_end" ]; then
    _left=$_kept_end
    say "K $_offset $((_size - _left))"
    _offset=$((_size - _left))
    exec 3< "$_step.log"
    seek "$((_offset - _base))"
  elif [ "$_offset" -lt "$_cap" ] && [ "$_left" -gt "$((_cap - _offset))" ]; then
    _left=$((_cap - _offset))
  fi
  if [ "$_left" -ge 131072 ]; then
    _blocks=$((_left / 131072)) _bytes=131072
    [ "$_blocks" -gt "$_most_blocks" ] && _blocks=$_most_blocks
  else
    _blocks=1 _bytes=$_left
  fi
  say "D $_offset $((_blocks * _bytes))"
  dd bs="$_bytes" count="$_blocks" <&3 2> /dev/null || exit 1
  _offset=$((_offset + _blocks * _bytes))
  read -r _word _position 2> /dev/null < /proc/self/fdinfo/3 || return 0
  _gap=$((_offset - _base - _position))
  [ "$_gap" -gt 0 ] || return 0
  dd if=/dev/zero bs="$_gap" count=1 2> /dev/null || exit 1
  _base=$((_offset - _position)) _size=$_offset
}
