#!/bin/sh
# The shell lessons once more, with the client in plain Python for chanctl.
: "${top_srcdir:=.}"

# The interpreter itself, without wrappers and site: hundreds of processes are started.
python=$("${PYTHON:-python3}" -c 'import sys; print(sys.executable)')

chanctl() {
	"$python" -S "$top_srcdir/tests/python/chanctl.py" "$@"
}
. "$top_srcdir/tests/shell/lessons.sh"
