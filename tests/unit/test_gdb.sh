#!/bin/sh
# chand-gdb.py lists goroutines, and shows the backtrace of one that is parked. TAP.
target=$top_builddir/tests/unit/gdb_target
script=$top_srcdir/server/runtime/chand-gdb.py

skip() {
	echo "1..0 # SKIP $1"
	exit 0
}

command -v gdb >/dev/null || skip "there is no gdb"
case ${TEST_SANITIZER:-no}${TEST_WRAPPER:+ wrapped} in
no) ;;
*) skip "gdb and sanitizers do not go together" ;;
esac
gdb -q -batch -ex 'python print("python", 1 + 1)' 2>&1 | grep -q 'python 2' ||
	skip "gdb has no python"
gdb -q -batch -ex run /bin/true 2>&1 | grep -q 'exited normally' || skip "gdb may not trace"

out=$(timeout 60 gdb -q -batch -nx -iex 'set debuginfod enabled off' -ex "source $script" \
	-ex 'break gdb_target_ready' -ex run -ex 'info goroutines' \
	-ex 'python id = next(int(g["id"]) for g in goroutines() if state(g) == "waiting")' \
	-ex 'python gdb.execute("goroutine %d bt" % id)' \
	-ex 'goroutine 9999 bt' -ex 'bt' -ex kill "$target" 2>&1)

number=0
expect() {
	number=$((number + 1))
	if printf '%s\n' "$out" | grep -Eq -- "$2"; then
		echo "ok $number - $1"
	else
		echo "not ok $number - $1"
		printf '%s\n' "$out" | sed 's/^/# /'
	fi
}

echo 1..7
expect "lists one that runs" '^ +1 running +gdb_target_main at .*gdb_target\.c:'
expect "lists one that waits, and for what" 'waiting +chan receive +waits_for_a_value at '
expect "lists one that has not begun" '^ +[0-9]+ new +waits_for_a_value at .*gdb_target\.c:'
expect "shows where that is parked" '^#[0-9]+ +(.* in )?go_park '
expect "down to its first function" '^#[0-9]+ .*in waits_for_a_value \(depth=2\)|waits_for_a_value \(depth=<optimized out>\)'
expect "and ends cleanly" '^#[0-9]+ .*context_begin'
expect "says when there is none" 'no goroutine 9999'
