#!/bin/sh
# The README's shell lesson, run as it stands there, prints what it is said to print.
room=$(mktemp -d)
XDG_RUNTIME_DIR=$room
PATH=$top_builddir:$PATH
export XDG_RUNTIME_DIR PATH
unset CHAN_URL
trap 'rm -rf "$room"' EXIT

# The blocks of the lesson up to the paragraph about looking around; the daemon is waited for,
# as a reader's fingers do, and what still waits at the end is ended.
{
	awk '
	/^## / { lesson = /Five minutes with the shell/ }
	/^Look around/ { lesson = 0 }
	/^```/ { on = lesson && /^```sh/; if (on) print "# ---"; next }
	on' "$top_srcdir/README.md" | sed '
	s/^chand &$/chand 2>'"$(echo "$room" | sed 's|/|\\/|g')"'\/log \& daemon=$!; until chanctl ping >\/dev\/null 2>\&1; do sleep 0.1; done/'
	echo 'kill $daemon; wait'
} >"$room/lesson"
timeout 60 sh "$room/lesson" >"$room/out" 2>"$room/err" </dev/null

cat >"$room/want" <<'END'
1
2
3
4
5
6
7
8
9
10
hello
124
2
send results
3
deploying
building
END
echo 1..1
if diff "$room/want" "$room/out" >"$room/diff"; then
	echo "ok 1 - the README's lesson"
else
	sed 's/^/# /' "$room/diff" "$room/err" "$room/lesson"
	echo "not ok 1 - the README's lesson"
fi
