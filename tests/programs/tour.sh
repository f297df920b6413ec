#!/bin/sh
# Runs the programs of the tour and asserts what they print and how they end. Prints TAP.
#
#	lesson NAME STATUS STDOUT STDERR PROGRAM [ARGUMENT...]
#
# STDOUT is all that is to be written; STDERR how it is to begin, line by line (a deadlock report
# goes on with the places where the goroutines were created). "*" accepts anything.
set -u

programs=$top_builddir/tests/programs
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
count=0

lesson()
{
	name=$1 want_status=$2 want_out=$3 want_err=$4
	shift 4
	count=$((count + 1))
	timeout 60 ${TEST_WRAPPER:-} "$programs/$@" >"$scratch/out" 2>"$scratch/err"
	status=$?
	out=$(cat "$scratch/out")
	err=$(head -n "$(printf '%s\n' "$want_err" | wc -l)" "$scratch/err")
	[ "$want_out" = '*' ] && want_out=$out
	if [ "$status" = "$want_status" ] && [ "$out" = "$want_out" ] && [ "$err" = "$want_err" ]; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		echo "# exit status $status, expected $want_status"
		sed 's/^/# stdout: /' "$scratch/out" | head -n 40
		sed 's/^/# stderr: /' "$scratch/err" | head -n 40
	fi
}

# told NAME CONDITION...: one more test, of what the last lesson has left in $out.
told()
{
	name=$1
	shift
	count=$((count + 1))
	if [ "$@" ]; then echo "ok $count - $name"; else echo "not ok $count - $name: $*"; fi
}

lines()
{
	printf '%s\n' "$@"
}

deadlock()
{
	lines 'fatal error: all goroutines are asleep - deadlock!' '' "goroutine 1 [$1]:"
}

panic()
{
	lines "panic: $1" '' 'goroutine 1 [running]:'
}

lesson 'say: two goroutines' 0 '*' '' say
told 'say: hello always five times' "$(printf '%s\n' "$out" | grep -c '^hello$')" = 5
told 'say: world at most five times' "$(printf '%s\n' "$out" | grep -c '^world$')" -le 5
told 'say: nothing else' -z "$(printf '%s\n' "$out" | grep -v -e '^hello$' -e '^world$')"

lesson 'sum of two halves' 0 '*' '' sum
told 'sum: in either order' "$out" = '-5 17 12' -o "$out" = '17 -5 12'

lesson 'buffer of two' 0 "$(lines 1 2)" '' buffered 2
lesson 'buffer of one: the second send waits for ever' 2 '' "$(deadlock 'chan send')" buffered 1
lesson 'no buffer: the first send waits for ever' 2 '' "$(deadlock 'chan send')" buffered 0

lesson 'range and close' 0 "$(lines 0 1 1 2 3 5 8 13 21 34)" '' fibonacci
lesson 'select' 0 "$(lines 0 1 1 2 3 5 8 13 21 34 quit)" '' fibonacci_select
lesson 'range without close' 2 "$(lines 0 1 2)" "$(deadlock 'chan receive')" range_no_close
lesson 'v, ok' 0 "$(lines '7 true' '0 true' '0 false' '0 false')" '' v_ok

lesson 'send on closed' 2 '' "$(panic 'send on closed channel')" send_closed
lesson 'close while a send waits' 2 '' 'panic: send on closed channel' send_closed_waiting
lesson 'close of closed' 2 '' "$(panic 'close of closed channel')" close_closed
lesson 'close of nil' 2 '' "$(panic 'close of nil channel')" close_nil

lesson 'nil: send' 2 '' "$(deadlock 'chan send (nil chan)')" nil_channel send
lesson 'nil: receive' 2 '' "$(deadlock 'chan receive (nil chan)')" nil_channel recv
lesson 'nil: select' 2 '' "$(deadlock 'select')" nil_channel select
lesson 'select without cases' 2 '' "$(deadlock 'select (no cases)')" nil_channel

# ThreadSanitizer knows 8128 threads at most, and counts goroutines.
case ${TEST_SANITIZER:-} in *thread*) chain=5000 ;; *) chain=10000 ;; esac
lesson "daisy chain of $chain" 0 $((chain + 1)) '' daisy $chain
lesson 'prime sieve' 0 "$(lines 2 3 5 7 11 13 17 19 23 29 31 37 41 43 47 53 59 61 67 71 73 79 83 89 97)" \
	'' sieve
lesson '100,000 selects' 0 '*' '' select_growth
told '100,000 selects: a losing case leaves no trace' "$(printf '%s\n' "$out" | sed '$d')" = \
	"$(lines '100000 selects' '0 waiters left in the idle channel')"
# Sanitizers and valgrind keep histories that grow; so only the bare program is measured. Half a
# pointer a select is more than threads take that start meanwhile, and less than any trace.
grown=${out##*grown by } limit=400000
[ -z "${TEST_SANITIZER:-}${TEST_WRAPPER:-}" ] || limit=1000000000
told '100,000 selects: no growth' "${grown% bytes}" -lt "$limit"

echo "1..$count"
