#!/usr/bin/env bash
# Acts on one program of the running cluster, for tests of its failures:
#   program.sh kill|start|restart|pause|resume|status PROGRAM
# PROGRAM: apiserver, kubelet, containerd, etcd, scheduler, controller-manager, registry. `kill` sends SIGKILL and
# waits until the process is gone. `start` uses the arguments of the first start and waits until the program responds.
# `pause` sends SIGSTOP, and `resume` sends SIGCONT. `status` exits with 0 if the program runs.
. "$(dirname "$0")/settings.sh"
need_root
action=${1:-} program=${2:-}
case $program in
  apiserver | kubelet | containerd | etcd | scheduler | controller-manager | registry) ;;
  *) fail "no such program: \"$program\" (usage: program.sh kill|start|restart|pause|resume|status PROGRAM)" ;;
esac

kill_program() {
  is_running "$program" || fail "$program does not run in $run"
  signal KILL "$program"
  reap "$program"
}

# The kubelet responds before it is connected to containerd. The node's condition is only refreshed every 10 s.
is_kubelet_healthy() { curl -fsS -m 5 --noproxy '*' http://127.0.0.1:$((kubelet_port - 2))/healthz; }

start_program() {
  if is_running "$program"; then return; fi
  launch "$program"
  await_program
}

await_program() {
  case $program in
    apiserver) wait_for 30 "the API server answers" apiserver is_api_ready ;;
    kubelet) wait_for 30 "the kubelet answers" kubelet is_kubelet_healthy ;;
    containerd) wait_for 30 "containerd answers" containerd is_containerd_ready ;;
    registry) wait_for 30 "the registry answers" registry is_registry_ready ;;
    *) is_running "$program" || blame "$program" "$program ended at once" ;;
  esac
}

case $action in
  kill) kill_program ;;
  start) start_program ;;
  restart) kill_program; start_program ;;
  pause) signal STOP "$program" ;;
  resume) signal CONT "$program"; await_program ;;
  status) is_running "$program" ;;
  *) fail "no such action: \"$action\" (usage: program.sh kill|start|restart|pause|resume|status PROGRAM)" ;;
esac
