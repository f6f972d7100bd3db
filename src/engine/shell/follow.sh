# Sending a step's log and how it ended.

# Sets ended, code, why and sign. Fails when the step's files are gone.
read_exit() {
  ended=
  read -r code why end sign 2> /dev/null < "$step.exit" || return 1
  # A shell reads byte by byte: what began as "pending" may end as the exit code that was written meanwhile.
  case $code in p*) ;; *) [ "$end" = end ] && ended=1 ;; esac
  return 0
}

# Sets size. Asks nobody about a log that is still empty.
take_size() {
  size=0
  [ -s "$step.log" ] || return 0
  set -- $(ls -ln "$step.log" 2> /dev/null)
  size=${5:-0}
}

# follow OFFSET CAP: sends $step's log from OFFSET, then how it ended. Of what lies beyond CAP only the end is sent.
follow() {
  offset=$1 cap=$2 base=0 tick=0 quiet=0 opened= missed=0
  while :; do
    # The exit code is looked for before the size is taken: what was written before it is then in the size.
    if ! read_exit; then
      is_awaited && { nap "$medium"; continue; }
      tell_missing
      break
    fi
    take_size
    # `echo … > /dev/stderr` opens the log anew and empties it. What was there is gone; what is there now comes next.
    [ "$size" -lt "$((offset - base))" ] && base=$offset opened=
    size=$((base + size))
    if [ "$size" -gt "$offset" ]; then
      [ -n "$opened" ] || { exec 3< "$step.log"; seek "$((offset - base))"; opened=1; }
      while [ "$size" -gt "$offset" ]; do send; done
      tick=0 quiet=0
    fi
    [ -n "$ended" ] && { conclude "X $offset $code $why $sign"; break; }
    tick=$((tick + 1)) quiet=$((quiet + 1))
    if [ "$tick" -lt 4 ]; then nap "$shortest"
    elif [ "$tick" -lt 12 ]; then nap "$short"
    else
      # It may have noted the exit code in the moment before it ended.
      is_led || { read_exit && [ -z "$ended" ] && { conclude "L its supervisor in the container was killed"; break; }; }
      if [ "$tick" -lt 40 ]; then nap "$medium"; else nap "$long"; fi
    fi
    # A sign of life about every ten seconds keeps idle proxies from cutting, and ends a courier nobody listens to.
    [ "$quiet" -ge 24 ] && { quiet=0; say "H $offset"; }
  done
  exec 3<&-
}

# part OFFSET BASE CAP: sends one frame of what there is of $step's log from OFFSET on, as `follow` would, and how the step ended, or
# that this is all for now. For who asks again when there is time: nothing waits here, and nothing is written. BASE is what the last
# answer said: how much had been sent when the log was emptied.
part() {
  offset=$1 base=$2 cap=$3 most_blocks=2
  # Who wants all of it takes it as fast as it comes; of those who read along there may be hundreds.
  [ "$cap" -le "$soft_cap" ] || most_blocks=8
  if read_exit; then
    take_size
    [ "$size" -lt "$((offset - base))" ] && base=$offset
    size=$((base + size))
    if [ "$size" -gt "$offset" ]; then
      exec 3< "$step.log"
      seek "$((offset - base))"
      send
      exec 3<&-
    fi
    if [ "$size" -gt "$offset" ]; then say "P $offset $base"
    elif [ -n "$ended" ]; then say "X $offset $code $why $sign"
    elif is_led || ! read_exit || [ -n "$ended" ]; then say "P $offset $base"
    else say "L its supervisor in the container was killed"
    fi
  elif [ "$offset" -gt 0 ] || [ -e "$step.log" ]; then
    say "L its files in $root were removed"
  else
    say "N"
  fi
  most_blocks=32
}

# Whether the courier that runs the step lives; while its files are being removed, whether it lived a moment ago.
is_led() { read -r pid start rest 2> /dev/null < "$step.claim"; is_alive "$pid" "$start"; }

# The last word on a step. None of it to a c3 that another has relieved of the Pod: that one kills what runs there, after it has
# raised the fence, and such an end is not how the step ended.
conclude() {
  is_stale && refuse
  say "$1"
}

# Whether the step was claimed a moment ago, so that its files come next. A claim is made before it is filled: hence the patience
# with one whose maker does not seem to live.
is_awaited() {
  [ -e "$step.claim" ] && [ ! -e "$step.log" ] || return 1
  read -r pid start rest 2> /dev/null < "$step.claim" && is_alive "$pid" "$start" && return 0
  missed=$((missed + 1))
  [ "$missed" -lt 10 ]
}

# There is no exit file: the step never started, or has removed what was there.
tell_missing() {
  if [ ! -d "${step%/*}" ] || [ "$offset" -gt 0 ] || [ -e "$step.log" ]; then
    conclude "L its files in $root were removed while it ran"
  elif [ -e "$step.claim" ]; then
    conclude "L who was to run it in the container is gone, and nothing there tells of it"
  else
    conclude "N"
  fi
}

seek() {
  blocks=$(($1 / 65536)) rest=$(($1 % 65536))
  [ "$blocks" -gt 0 ] && dd bs=65536 skip="$blocks" count=0 <&3 2> /dev/null
  [ "$rest" -gt 0 ] && dd bs="$rest" count=1 <&3 > /dev/null 2>&1
  return 0
}

# Blocks of a frame.
most_blocks=32

# One frame: whole blocks of 128 KiB, 4 MiB at most, or what is left of one. A regular file gives what it is asked for, unless the
# step empties it in this very moment: then zeros make up for what is gone, for a short frame would be the end of the line.
send() {
  left=$((size - offset))
  if [ "$offset" -ge "$cap" ] && [ "$left" -gt "$kept_end" ]; then
    left=$kept_end
    say "K $offset $((size - left))"
    offset=$((size - left))
    exec 3< "$step.log"
    seek "$((offset - base))"
  elif [ "$offset" -lt "$cap" ] && [ "$left" -gt "$((cap - offset))" ]; then
    left=$((cap - offset))
  fi
  if [ "$left" -ge 131072 ]; then
    blocks=$((left / 131072)) bytes=131072
    [ "$blocks" -gt "$most_blocks" ] && blocks=$most_blocks
  else
    blocks=1 bytes=$left
  fi
  say "D $offset $((blocks * bytes))"
  dd bs="$bytes" count="$blocks" <&3 2> /dev/null || exit 1
  offset=$((offset + blocks * bytes))
  read -r word position 2> /dev/null < /proc/self/fdinfo/3 || return 0
  gap=$((offset - base - position))
  [ "$gap" -gt 0 ] || return 0
  dd if=/dev/zero bs="$gap" count=1 2> /dev/null || exit 1
  base=$((offset - position)) size=$offset
}
