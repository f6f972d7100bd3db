# Clearing away what builds left running. Ours is what bears the build's cookie in its environment, or belongs to the session or the
# group of one of its steps: that catches `env -i` as well. What is neither ours, nor there before the first build, nor of PID 1's
# own session, nor somebody's exec, is strange: it is not killed, but a Pod that has such does not stay.

# Kills what is ours of a BUILD until nothing is left or it has tried often enough. Sets left, strange and zombies.
clear_away() {
  find_origin
  read -r first_pids 2> /dev/null < "$root/processes.$container"
  examine 1; session_1=$session
  rounds=0 left=1
  while [ -n "$left" ] && [ "$rounds" -lt 20 ]; do
    [ "$rounds" -gt 0 ] && nap "$short"
    rounds=$((rounds + 1)) left= strange= zombies=0
    read_leaders "$1"
    for entry in /proc/[0-9]*; do judge "${entry#/proc/}" "$1"; done
    # The youngest first: a parent that lives a moment longer reaps its child, which PID 1 may never do.
    for pid in $left; do kill -KILL "$pid" 2> /dev/null; done
  done
}

# A build's steps in this container: their processes, which lead sessions of the same number where there is setsid.
read_leaders() {
  leaders=' '
  for file in "$root/$1"/*.pid; do
    recall "$file" || continue
    # No number is given anew while a session or a group has it: once another process bears it, nothing of ours is left there.
    examine "$word" && [ "$start" != "$number" ] && continue
    leaders="$leaders$word $word-$number "
  done
}

# Adds a process to left, strange or zombies.
judge() {
  examine "$1" || return 0
  case $first_pids in *" $pid-$start "*) return 0 ;; esac
  if [ "$state" = Z ]; then [ "$parent" = 1 ] && zombies=$((zombies + 1)); return 0; fi
  # A step that was claimed a moment ago has neither session nor cookie yet, but its number.
  case $leaders in *" $session "* | *" $group "* | *" $pid-$start "*) left="$1 $left"; return 0 ;; esac
  has_cookie "$1" "$2" && { left="$1 $left"; return 0; }
  [ -n "$is_contained" ] || return 0
  its_session=$session
  find_top "$pid"
  # What has another ancestor than PID 1 is of somebody's exec: the couriers are such.
  [ "$top" != 1 ] || [ "$its_session" = "$session_1" ] || strange="$strange $1"
}

# The outermost living ancestor of a process: PID 1, or an exec's first process, whose parent is outside.
find_top() {
  top=$1
  while examine "$top"; do
    top_session=$session
    [ "$parent" = 0 ] || [ "$parent" = "$top" ] && return
    top=$parent
  done
}

# Whether /proc shows this container alone, so that an exec has no parent here. It does not where a Pod has the node's processes:
# there the cookie alone tells.
find_origin() {
  is_contained=
  find_top "$my_pid"
  [ "$top" = 1 ] || is_contained=1
  [ "$top_session" = "$my_session" ] || is_contained=
}

# What runs before the first build here.
note_first_processes() {
  [ -e "$root/processes.$container" ] && return
  first_pids=' '
  for entry in /proc/[0-9]*; do
    examine "${entry#/proc/}" && first_pids="$first_pids$pid-$start "
  done
  ensure "$root/processes.$container" "$first_pids"
}

# sweep BUILD: the build is over here. Also drops the files of all but the newest builds.
command_sweep() {
  is_stale && refuse
  clear_away "$1"
  [ -n "$left" ] || claim "$root/$1/swept.$container" ''
  keep=0 old=
  for name in $(ls -t "$root" 2> /dev/null); do
    [ -d "$root/$name" ] || continue
    keep=$((keep + 1))
    [ "$keep" -gt "$kept_builds" ] && old="$old $root/$name"
  done
  for name in "$root"/epoch.*; do [ "${name##*.}" -lt "$epoch" ] && old="$old $name"; done
  [ -z "$old" ] || rm -rf $old 2> /dev/null
  if [ -n "$left" ]; then say "S left$left"
  elif [ -n "$strange" ]; then say "S strange$strange"
  elif [ "$zombies" -gt "$max_zombies" ]; then say "S zombies $zombies"
  else say "S clean"
  fi
}
