# tests/support/daemon.sh - a private chand for a shell test. To be sourced after tap.sh.
#
#   daemon_start [OPTION...]   starts chand on a socket of its own, and points CHAN_URL to it
#   daemon_stop                ends it; its exit status
#   waiting NAME SIDE N        until N senders or receivers wait on the channel, as a step
#   stat_of NAME FIELD         a field of chanctl stat --json
#
# A daemon that runs at the end of a script is stopped there, and that it ends in order is its last
# step.

PATH=${top_builddir:=$PWD}:$PATH
export PATH
unset XDG_RUNTIME_DIR
daemon_pid=
tap_cleanup='daemon_stop; '$tap_cleanup
tap_before_end='[ -z "$daemon_pid" ] || exits 0 "the daemon ends in order" daemon_stop'

daemon_start() {
	CHAN_URL=unix:$tap_dir/chand.sock
	export CHAN_URL
	chand --listen "$CHAN_URL" "$@" 2>"$tap_dir/log" &
	daemon_pid=$!
	chanctl ping --timeout 20s >/dev/null 2>&1 && return
	echo "Bail out! the daemon does not answer"
	tap_note <"$tap_dir/log"
	exit 1
}

daemon_stop() {
	[ -n "$daemon_pid" ] || return 0
	kill "$daemon_pid" 2>/dev/null
	wait "$daemon_pid"
	daemon_status=$?
	daemon_pid=
	[ $daemon_status -eq 0 ] || tap_note <"$tap_dir/log"
	return $daemon_status
}

stat_of() {
	chanctl stat "$1" --json | sed -n 's/.*"'"$2"'":"\{0,1\}\([^",}]*\).*/\1/p'
}

waiting() {
	becomes "$3 of the $2 wait on $1" "$3" stat_of "$1" "$2_waiting"
}
