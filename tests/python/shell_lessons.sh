#!/bin/sh
# The shell lessons once more, with the client in plain Python for chanctl.
: "${top_srcdir:=.}"
# Slow, and nothing new for the daemon.
[ -z "$TEST_SANITIZER$TEST_WRAPPER" ] || {
	echo "1..0 # SKIP the client in Python is for plain builds"
	exit 0
}

# The interpreter itself, without wrappers and site: hundreds of processes are started.
python=$("${PYTHON:-python3}" -c 'import sys; print(sys.executable)')

chanctl() {
	"$python" -S "$top_srcdir/tests/python/chanctl.py" "$@"
}
. "$top_srcdir/tests/shell/lessons.sh"
