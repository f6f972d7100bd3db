# The life of a step. Its supervisor is the agent itself, which waits for the step in the foreground: so the step starts with no
# signal ignored, and nothing need be forked but the step. It needs nobody outside the container: when the connection is cut, it
# notes the exit code all the same and ends.

# Takes lines up to the end mark into _taken, many at a time: each that is added copies what is there. Neither variables nor scripts are
# in a file: containers share the directory, and the secrets of one are not for the programs of another, nor may those change what it
# runs.
take() {
  _taken= _part= _count=0
  while IFS= read -r _line; do
    [ "$_line" = "$1" ] && { _taken=$_taken$_part; return 0; }
    _part="$_part$_line
" _count=$((_count + 1))
    [ "$_count" -lt 64 ] || _taken=$_taken$_part _part= _count=0
  done
  return 1
}

# run BUILD STEP SECONDS GRACE PROOF MARK PLACE WORKDIR, then the lines of env, MARK, the lines of script, MARK: runs the step, unless
# that was done before, and tells of it as `follow` does. With PROOF c3 knows that it was this supervisor who noted that the step has
# passed. PLACE: "must" when it may start in WORKDIR alone, "may" when where the container starts will do.
command_run() {
  _step=$_root/$1/$2 _mine=$_root/$1/$2.$_my_pid-$_my_start _proof=$5
  take "$6" && _exports=$_taken && take "$6" && _script=$_taken || exit 1
  claim "$_step.claim" "$_my_pid $_my_start"
  case $? in
    1) follow 0 "$_soft_cap"; return ;;
    2) no_room ;;
  esac
  # What is to be noted of it has its place from now on, lest the disk be full then.
  note "$_step.exit" pending && note "$_step.pid" pending && note "$_step.why" pending || no_room
  printf '%s\n' "$_step $_mine $3 $4 $_epoch" >&5
  count_kills; _kills_before=$_kills
  # Two commands in the braces: of a subshell alone in braces, dash and busybox forget where its own output goes.
  { (take_off "$8" "$7") < /dev/null >> "$_step.log" 2>&1 3<&- 5>&-; _code=$?; } 2> /dev/null
  _exports= _script= _taken=
  land
}

# Sets _kills: how often the kernel has killed a process of this container for memory; empty where it does not say. A container's own
# cgroup is the one it sees, of version 2 or 1: https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.events)
count_kills() {
  _kills=
  for _file in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    while [ -z "$_kills" ] && read -r _word _number; do [ "$_word" = oom_kill ] && _kills=$_number; done < "$_file"
  done
} 2> /dev/null

# Becomes the step. Its number is written before the fence is looked at, and whoever raises the fence reads the numbers after
# that (read_leaders): so a launch of a c3 that lost the Pod meanwhile either sees the fence here, or is seen and killed there.
take_off() {
  examine self
  note "$_step.pid" "$_pid $_start"
  is_stale && { note "$_step.pid" refused; exit 1; }
  # Whatever names the variables of the build bear, they change nothing here.
  set -- "$1" "$_setsid" "$_exports" "$_script" "$2"
  umask 022
  trap - USR1
  eval "$3"
  cd "$1" 2> /dev/null || { mkdir -p "$1" && cd "$1"; } 2> /dev/null || [ "$5" = may ] || {
    # Elsewhere it would test what is in the image, and pass.
    printf '%s\n' "c3: $1 cannot be entered or made: mount the volume of checkout.path in this container" >&2
    exit 126
  }
  # Not as an argument: `pkill -f` would find the step by what is in it. The step itself does not have the variable any more. The line
  # end is for busybox, which counts the lines of an argument from 0.
  export C3_SCRIPT="$4"
  exec ${2:+"$2"} sh -e -c 'case $LINENO in 0) ;; *) shift ;; esac; eval "${1-}set --; unset C3_SCRIPT; $C3_SCRIPT"; exit' sh "
"
}

# The step has ended with $_code: notes it, and how it came to that, and tells of it unless a follower has been at it since before.
land() {
  _child= _why=exited
  recall "$_step.pid" && _child=$_word
  if [ "$_child" = refused ]; then
    # Who has the Pod now may want this very step.
    rm -f "$_step.log" "$_step.pid" "$_step.why" "$_step.exit" "$_step.claim"
    refuse
  fi
  [ "$_code" = 0 ] || { count_kills; [ "$_kills" = "$_kills_before" ] || _why=out-of-memory; }
  recall "$_step.why" && { _why=$_word; signal KILL; }
  _sign=
  [ "$_code $_why" != "0 exited" ] || _sign=$_proof
  _proof=
  # It fails when the step has removed the directory, which the next agent finds, or on a disk where no place can be kept.
  note "$_step.exit" "$_code $_why end $_sign" || { [ -d "${_step%/*}" ] && no_room; exit 1; }
  claim "$_mine.tail" ''
  if [ $? = 1 ]; then wake "$_mine"; else follow 0 "$_soft_cap"; fi
}

# Signals a step's process and its group. Without setsid there is no group of that number: then all that descends from it, in tree.
signal() {
  _tree=
  if [ -n "$_setsid" ]; then
    kill "-$1" "-$_child"
  else
    for _entry in /proc/[0-9]*; do descends "${_entry#/proc/}" "$_child" && _tree="$_tree ${_entry#/proc/}"; done
    kill "-$1" $_tree
  fi
  kill "-$1" "$_child"
} 2> /dev/null

# Wakes the follower and the watch of a step, if they still are the processes they were.
wake() {
  read -r _live _watch < "$1.tail" && examine "$_live" && [ "$_parent" = "$_watch" ] && kill -USR1 "$_live" "$_watch"
} 2> /dev/null
