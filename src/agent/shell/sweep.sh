# Kills what builds left running. A process belongs to a build when it has the build's cookie in its environment, or
# is in the session or the group of one of its steps: that finds `env -i` as well. A process is strange when it
# belongs to no build, did not run before the first build, and is neither in PID 1's session nor part of an exec. A
# strange process is not killed, but its Pod is not kept.

# Kills the processes of a BUILD until none is left or it has tried often enough. Sets _survivors, _strange and
# _zombies.
clear_away() {
  find_origin
  read -r _first_pids 2> /dev/null < "$_root/processes.$_container"
  examine 1; _session_1=$_session
  _rounds=0 _survivors=1
  while [ -n "$_survivors" ] && [ "$_rounds" -lt 20 ]; do
    [ "$_rounds" -gt 0 ] && nap "$_short"
    _rounds=$((_rounds + 1)) _survivors= _strange= _zombies=0
    read_leaders "$1"
    for _entry in /proc/[0-9]*; do classify "${_entry#/proc/}" "$1"; done
    # The youngest first: a parent that lives a moment longer reaps its child, which PID 1 may never do.
    for _pid in $_survivors; do kill -KILL "$_pid" 2> /dev/null; done
  done
}

# Lists the processes of a build's steps in this container. With setsid each leads a session of its own number.
read_leaders() {
  _leaders=' '
  for _file in "$_root/$1"/*.pid; do
    recall "$_file" || continue
    # Linux does not reuse a number while a session or a group has it. If another process has it, no process of this
    # step is left.
    examine "$_word" && [ "$_start" != "$_number" ] && continue
    _leaders="$_leaders$_word $_word-$_number "
  done
}

# Adds a process to _survivors, _strange or _zombies.
classify() {
  examine "$1" || return 0
  case $_first_pids in *" $_pid-$_start "*) return 0 ;; esac
  if [ "$_state" = Z ]; then [ "$_parent" = 1 ] && _zombies=$((_zombies + 1)); return 0; fi
  # A step that was claimed a moment ago has neither session nor cookie yet, but its number.
  case $_leaders in *" $_session "* | *" $_group "* | *" $_pid-$_start "*) _survivors="$1 $_survivors"; return 0 ;; esac
  has_cookie "$1" "$2" && { _survivors="$1 $_survivors"; return 0; }
  [ -n "$_is_contained" ] || return 0
  _its_session=$_session
  find_top "$_pid"
  # A process with another ancestor than PID 1 is part of an exec. The agents are too.
  [ "$_top" != 1 ] || [ "$_its_session" = "$_session_1" ] || _strange="$_strange $1"
}

# Finds the outermost living ancestor of a process: PID 1, or an exec's first process, whose parent is outside.
find_top() {
  _top=$1
  while examine "$_top"; do
    _top_session=$_session
    [ "$_parent" = 0 ] || [ "$_parent" = "$_top" ] && return
    _top=$_parent
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

# Notes what runs before the first build.
note_first_processes() {
  [ -e "$_root/processes.$_container" ] && return
  _first_pids=' '
  for _entry in /proc/[0-9]*; do
    examine "${_entry#/proc/}" && _first_pids="$_first_pids$_pid-$_start "
  done
  ensure "$_root/processes.$_container" "$_first_pids"
}

# sweep BUILD: the build is over in this container. Also removes the files of all but the newest builds.
command_sweep() {
  is_stale && refuse
  clear_away "$1"
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
  else say "S clean"
  fi
}
