# What /proc says about processes. Only builtins read it: one fork costs more than all lines of a process.

# Sets _state, _parent, _group, _session and _start (clock ticks since boot) of a process, and _pid, also for "self".
# A process id and its start identify one process. A name may contain blanks, brackets and line ends, so the
# fields begin after the last bracket.
examine() {
  _stat_text=
  while IFS= read -r _stat_line; do _stat_text="$_stat_text$_stat_line "; done 2> /dev/null < "/proc/$1/stat"
  [ -n "$_stat_text" ] || return 1
  _pid=${_stat_text%% *}
  _stat_text="${_stat_text##*") "}"
  set -f; set -- $_stat_text; set +f
  _state=$1 _parent=$2 _group=$3 _session=$4 _start=${20}
}

# Succeeds when the process PID that started at START is alive. A zombie is not.
is_alive() { examine "$1" && [ "$_start" = "$2" ] && [ "$_state" != Z ]; }

# Succeeds when a process has a build's cookie in its environment: PID BUILD. A read drops the zero bytes between
# variables.
has_cookie() {
  while IFS= read -r _environ_line || [ -n "$_environ_line" ]; do
    case $_environ_line in *"C3_BUILD_ID=$2"*) return 0 ;; esac
  done 2> /dev/null < "/proc/$1/environ"
  return 1
}

# Succeeds when a process descends from another: PID ANCESTOR.
descends() {
  set -- "$1" "$2" "$1"
  while [ "$3" -gt 1 ] && examine "$3"; do
    [ "$_parent" = "$2" ] && return 0
    set -- "$1" "$2" "$_parent"
  done
  return 1
}

# Makes a file, with a line of text if one is given, unless it exists. Only one of several callers succeeds. Fails
# with 1 when the file exists, with 2 when there is no room. A full disk usually still makes files without text.
claim() {
  _made=
  set -C
  { _made=1; [ -z "$2" ] || printf '%s\n' "$2" || _made=full; } 2> /dev/null > "$1"
  set +C
  case $_made in
    1) return 0 ;;
    full) rm -f "$1"; return 2 ;;
  esac
  [ ! -d "${1%/*}" ] || [ -e "$1" ] || return 2
  return 1
}

# Writes a line into a file in place, by one write of a fixed length. A reader sees all of it or nothing. A file that
# an earlier note made is written even when the disk is full.
note() { printf '%-64s\n' "$2" 1<> "$1"; } 2> /dev/null

# Reads the first words of a note. Fails while it is "pending", also when a shell that reads byte by byte got the
# first bytes before another line replaced it.
recall() {
  read -r _word _number _rest 2> /dev/null < "$1" || return 1
  case $_word in p*) return 1 ;; esac
}

# Sleeps $1 seconds, or until the signal USR1. The signal has an effect here only: some shells lose what they are
# writing when it arrives elsewhere.
nap() {
  trap : USR1
  sleep "$1" & _napping=$!
  wait "$_napping"
  [ $? -gt 128 ] && { kill "$_napping"; wait "$_napping"; } 2> /dev/null
  trap '' USR1
}
