# Clearing away what builds left running. Ours is what bears the build's cookie in its environment, or belongs to the session or the
# group of one of its steps: that catches `env -i` as well. What is neither ours, nor there before the first build, nor of PID 1's
# own session, nor somebody's exec, is strange: it is not killed, but a Pod that has such does not stay.

# Kills what is ours of a BUILD until nothing is left or it has tried often enough. Sets _left, _strange and _zombies.
clear_away() {
  find_origin
  read -r _first_pids 2> /dev/null < "$_root/processes.$_container"
  examine 1; _session_1=$_session
  _rounds=0 _left=1
  while [ -n "$_left" ] && [ "$_rounds" -lt 20 ]; do
    [ "$_rounds" -gt 0 ] && nap "$_short"
    _rounds=$((_rounds + 1)) _left= _strange= _zombies=0
    read_leaders "$1"
    for _entry in /proc/[0-9]*; do judge "${_entry#/proc/}" "$1"; done
    # The youngest first: a parent that lives a moment longer reaps its child, which PID 1 may never do.
    for _pid in $_left; do kill -KILL "$_pid" 2> /dev/null; done
  done
}

# A build's steps in this container: their processes, which lead sessions of the same number where there is setsid.
read_leaders() {
  _leaders=' '
  for _file in "$_root/$1"/*.pid; do
    recall "$_file" || continue
    # No number is given anew while a session or a group has it: once another process bears it, nothing of ours is left there.
    examine "$_word" && [ "$_start" != "$_number" ] && continue
    _leaders="$_leaders$_word $_word-$_number "
  done
}

# Adds a process to _left, _strange or _zombies.
judge() {
  examine "$1" || return 0
  case $_first_pids in *" $_pid-$_start "*) return 0 ;; esac
  if [ "$_state" = Z ]; then [ "$_parent" = 1 ] && _zombies=$((_zombies + 1)); return 0; fi
  # A step that was claimed a moment ago has neither session nor cookie yet, but its number.
  case $_leaders in *" $_session "* | *" $_group "* | *" $_pid-$_start "*) _left="$1 $_left"; return 0 ;; esac
  has_cookie "$1" "$2" && { _left="$1 $_left"; return 0; }
  [ -n "$_is_contained" ] || return 0
  _its_session=$_session
  find_top "$_pid"
  # What has another ancestor than PID 1 is of somebody's exec: the agents are such.
  [ "$_top" != 1 ] || [ "$_its_session" = "$_session_1" ] || _strange="$_strange $1"
}

# The outermost living ancestor of a process: PID 1, or an exec's first process, whose parent is outside.
find_top() {
  _top=$1
  while examine "$_top"; do
    _top_session=$_session
    [ "$_parent" = 0 ] || [ "$_parent" = "$_top" ] && return
    _top=$_parent
  done
}

# Whether /proc shows this container alone, so that an exec has no parent here. It does not where a Pod has the node's processes:
# there the cookie alone tells.
find_origin() {
  _is_contained=
  find_top "$_my_pid"
  [ "$_top" = 1 ] || _is_contained=1
  [ "$_top_session" = "$_my_session" ] || _is_contained=
}

# What runs before the first build here.
note_first_processes() {
  [ -e "$_root/processes.$_container" ] && return
  _first_pids=' '
  for _entry in /proc/[0-9]*; do
    examine "${_entry#/proc/}" && _first_pids="$_first_pids$_pid-$_start "
  done
  ensure "$_root/processes.$_container" "$_first_pids"
}

# sweep BUILD: the build is over here. Also drops the files of all but the newest builds.
command_sweep() {
  is_stale && refuse
  clear_away "$1"
  [ -n "$_left" ] || claim "$_root/$1/swept.$_container" ''
  _keep=0 _old=
  for _name in $(ls -t "$_root" 2> /dev/null); do
    [ -d "$_root/$_name" ] || continue
    _keep=$((_keep + 1))
    [ "$_keep" -gt "$_kept_builds" ] && _old="$_old $_root/$_name"
  done
  for _name in "$_root"/epoch.*; do [ "${_name##*.}" -lt "$_epoch" ] && _old="$_old $_name"; done
  [ -z "$_old" ] || rm -rf $_old 2> /dev/null
  if [ -n "$_left" ]; then say "S left$_left"
  elif [ -n "$_strange" ]; then say "S strange$_strange"
  elif [ "$_zombies" -gt "$_max_zombies" ]; then say "S zombies $_zombies"
  else say "S clean"
  fi
}
