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
# with 1 when the file exists, with 2 when there is no room. A full disk usually still makes files without text. An
# agent that is refused removes its claim: a file that is gone after it was in the way is tried again.
claim() {
  _tries=0
  while [ "$_tries" -lt 3 ]; do
    _made= _tries=$((_tries + 1))
    set -C
    { _made=1; [ -z "$2" ] || printf '%s\n' "$2" || _made=full; } 2> /dev/null > "$1"
    set +C
    case $_made in
      1) return 0 ;;
      full) rm -f "$1"; return 2 ;;
    esac
    [ -d "${1%/*}" ] && [ ! -e "$1" ] || return 1
  done
  return 2
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

# Kills what builds left running. A process belongs to a build when it has the build's cookie in its environment, or
# is in the session or the group of one of its steps: that finds `env -i` as well. A process is strange when it
# belongs to no build, did not start before the first agent, and is neither in PID 1's session nor part of an exec. A
# strange process is not killed, but its Pod is not kept.

# Kills the processes of a build, or of all builds but one, until none is left or it has tried often enough: BUILD FIRST,
# or '' FIRST SPARED in a container that shows no processes of others. FIRST: the start of the first agent of the Pod,
# or 0 if that is not known. A process that is older is spared. The kernel keeps the start of a process, so no step can
# make itself older. A process that starts its next copy and ends may be neither seen nor killed, but then the newest
# process id has changed, and that is strange (threat model A3). Sets _survivors, _strange and _zombies.
clear_away() {
  find_origin
  _first=$2 _spared=${3:-/}
  examine 1; _session_1=$_session
  _rounds=0 _survivors=1 _moved=
  while [ -n "$_survivors$_moved" ] && [ "$_rounds" -lt 20 ]; do
    [ "$_rounds" -gt 0 ] && nap "$_short"
    _rounds=$((_rounds + 1)) _survivors= _strange= _zombies=0 _moved=
    read_leaders "$1"
    read_newest; _before=$_newest
    for _entry in /proc/[0-9]*; do classify "${_entry#/proc/}" "$1"; done
    read_newest
    [ -z "$_is_contained" ] || [ "$_newest" = "$_before" ] || _moved=1
    # The youngest first: a parent that lives a moment longer reaps its child, which PID 1 may never do.
    for _pid in $_survivors; do kill -KILL "$_pid" 2> /dev/null; done
  done
  [ -z "$_moved" ] || _strange="$_strange and others that start all the time"
}

# Sets _newest to the id of the newest process or thread of this container, dead or alive.
read_newest() { read -r _word _word _word _word _newest < /proc/loadavg; } 2> /dev/null

# Lists the processes of a build's steps in this container, or of all builds but the spared one. With setsid each leads
# a session of its own number.
read_leaders() {
  _leaders=' '
  for _file in "$_root"/${1:-*}/*.pid; do
    case $_file in "$_root/$_spared"/*) continue ;; esac
    recall "$_file" || continue
    # Another container of the Pod has numbers of its own, which mean other processes here.
    [ "$_rest" = "$_container" ] || continue
    # Linux does not reuse a number while a session or a group has it. If another process has it, no process of this
    # step is left.
    examine "$_word" && [ "$_start" != "$_number" ] && continue
    _leaders="$_leaders$_word $_word-$_number "
  done
}

# Succeeds when the examined process is in the session or the group of a step. A step that was claimed a moment ago has
# neither yet, but its number. The leader of a session is a step only with the start of the step: since the steps were
# listed, its number may have become free, and another process may have got it.
is_of_step() {
  case $_leaders in *" $_pid-$_start "*) return 0 ;; esac
  case $_leaders in *" $_session "*) [ "$_pid" = "$_session" ] || return 0 ;; esac
  case $_leaders in *" $_group "*) [ "$_pid" = "$_group" ] || return 0 ;; esac
  return 1
}

# Adds a process to _survivors, _strange or _zombies.
classify() {
  examine "$1" || return 0
  [ "$_start" -ge "$_first" ] || return 0
  if [ "$_state" = Z ]; then [ "$_parent" = 1 ] && _zombies=$((_zombies + 1)); return 0; fi
  is_of_step && { _survivors="$1 $_survivors"; return 0; }
  has_cookie "$1" "$2" && ! has_cookie "$1" "$_spared" && { _survivors="$1 $_survivors"; return 0; }
  [ -n "$_is_contained" ] || return 0
  _its_session=$_session
  find_top "$_pid"
  # A process with another ancestor than PID 1 is part of an exec. The agents are too.
  [ "$_top" != 1 ] || [ "$_its_session" = "$_session_1" ] || _strange="$_strange $1"
}

# Finds the outermost living ancestor of a process: PID 1, or an exec's first process, whose parent is outside. When an
# ancestor ends meanwhile, the process has got another parent: it is read again, but not forever, since /proc may hide
# processes of other users.
find_top() {
  _top=$1 _ended=0
  while :; do
    if examine "$_top"; then
      _top_session=$_session
      [ "$_parent" = 0 ] || [ "$_parent" = "$_top" ] && return
      _top=$_parent
    elif [ "$_top" != "$1" ] && [ "$_ended" -lt 3 ]; then
      _top=$1 _ended=$((_ended + 1))
    else
      return
    fi
  done
}

# Sets _is_contained when /proc shows this container only, so that an exec has no parent here. In a Pod that shares
# the node's processes it does not, and the cookie alone counts.
find_origin() {
  _is_contained=
  find_top "$_my_pid"
  [ "$_top" = 1 ] || _is_contained=1
  [ "$_top_session" = "$_my_session" ] || _is_contained=
}

# Sets _noted_first and _mac to what the file says about the first agent. Every step can change it: c3 checks the MAC.
read_first() {
  _noted_first= _mac=
  [ -f "$_root/first" ] && read -r _noted_first _mac _rest < "$_root/first"
  [ "${#_noted_first}" -le 15 ] && [ "${#_mac}" -le 64 ] || _noted_first= _mac=
} 2> /dev/null

# Notes the first agent for later builds, whose c3 may be another: FIRST MAC.
note_first() {
  read_first
  [ "$_noted_first $_mac" = "$1 $2" ] || { rm -rf "$_root/first" && claim "$_root/first" "$1 $2"; }
}

# sweep BUILD [FIRST MAC]: the build is over in this container. Also removes the files of all but the newest builds. A
# step can write to the output of this agent, but it does not know the nonce, which came with the greeting: before any
# step of the build.
command_sweep() {
  is_stale && refuse
  clear_away "$1" "${2:-0}"
  [ -z "$2" ] || note_first "$2" "$3"
  [ -n "$_survivors" ] || claim "$_root/$1/swept.$_container" ''
  _keep=0
  set --
  for _name in $(ls -t "$_root" 2> /dev/null); do
    [ -d "$_root/$_name" ] || continue
    _keep=$((_keep + 1))
    [ "$_keep" -le "$_kept_builds" ] || set -- "$@" "$_root/$_name"
  done
  for _name in "$_root"/epoch.*; do [ "${_name##*.}" -ge "$_epoch" ] || set -- "$@" "$_name"; done
  [ $# = 0 ] || rm -rf "$@" 2> /dev/null
  if [ -n "$_survivors" ]; then say "S left$_survivors"
  elif [ -n "$_strange" ]; then say "S strange$_strange"
  elif [ "$_zombies" -gt "$_max_zombies" ]; then say "S zombies $_zombies"
  else say "S clean $_nonce"
  fi
}
