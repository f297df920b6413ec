#!/bin/sh
# With fewer descriptors than connections_max needs the daemon says how many connections that leaves.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"

# leaves LIMIT OPTION...: how many connections it says are left, of 200; nothing: all of them
leaves() {
	limit=$1
	shift
	daemon_start --connections-max 200 "$@"
	daemon_stop || return
	sed -n 's/.*is 200, but only '"$limit"' desc.* of which [0-9]* are kept .*: \(.*\) connections it is$/\1/p' \
		"$tap_dir/log"
}

# It keeps 160 for itself, and of the others five sixths for rings, as far as rings_max takes them.
ulimit -n 1400
same "there are enough" "" "$(leaves 1400)"
ulimit -n 400
same "every connection may have rings" 40 "$(leaves 400)"
same "a few may" 90 "$(leaves 400 --rings-max 30)"
same "none may, and there are enough" "" "$(leaves 400 --rings-max 0)"
ulimit -n 100
same "there are too few for anything else" 1 "$(leaves 100)"

tap_end
