#!/bin/sh
# Every program of client/examples does what it says, against a daemon.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
daemon_start

example() {
	exits 0 "$1 succeeds" "$top_builddir/client/examples/$1"
}

example fibonacci
same "the first ten numbers come in order" "0 1 1 2 3 5 8 13 21 34" "$(xargs <"$out")"
example worker_pool
same "every job was done once" "the squares of 1 to 30 add up to 9455" "$(cat "$out")"
example request_reply
same "each question has its answer" "red -> RED green -> GREEN blue -> BLUE" "$(xargs <"$out")"
example select_deadline
same "the deadline ends the loop" "tick tick tick silence nothing is ready" "$(xargs <"$out")"
same "the examples leave no channel behind" "" "$(chanctl ls 2>&1 | grep example)"

tap_end
