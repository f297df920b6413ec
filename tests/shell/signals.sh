#!/bin/sh
# SIGINT and SIGTERM withdraw what waits, and nothing is lost.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
daemon_start

chanctl make u --type int
chanctl make b --type int --cap 2

# interrupted SIGNAL CODE NAME CHANNEL SIDE COMMAND...
interrupted() {
	signal=$1 code=$2 name=$3 channel=$4 side=$5
	shift 5
	"$@" >"$tap_dir/signal.out" 2>"$tap_dir/signal.err" &
	victim=$!
	waiting "$channel" "$side" 1
	kill -s "$signal" $victim
	exits "$code" "$name ends with $code" wait $victim
	same "and stands no more" 0 "$(stat_of "$channel" "${side}_waiting")"
}

interrupted INT 130 "recv, SIGINT," u receivers chanctl recv u
interrupted TERM 143 "recv, SIGTERM," u receivers chanctl recv u
interrupted INT 130 "range, SIGINT," u receivers chanctl range u
interrupted INT 130 "send, SIGINT," u senders chanctl send u 1
interrupted TERM 143 "send, SIGTERM," u senders chanctl send u 1
interrupted INT 130 "select, SIGINT," u receivers chanctl select recv:u recv:b
interrupted INT 130 "recv with a timeout, SIGINT," u receivers chanctl recv u --timeout 1h

# What was withdrawn is not received later, and what was confirmed stays.
exits 2 "a withdrawn send left nothing" chanctl recv u --try
interrupted INT 130 "a stream, SIGINT," b senders chanctl send b 1 2 3 4
check "it says how many were confirmed" grep -q '2 values were confirmed, value 3' "$tap_dir/signal.err"
same "those are there, and no others" "1|2|" "$(chanctl recv b -n 2 | tr '\n' '|')"
same "the channel is empty" 0 "$(stat_of b len)"

# Signals while nothing waits in the broker: stdin is slow.
mkfifo "$tap_dir/slow"
chanctl send b --lines <"$tap_dir/slow" 2>"$tap_dir/slow.err" &
victim=$!
exec 3>"$tap_dir/slow"
echo 1 >&3
becomes "the value has gone" 1 stat_of b len
kill -INT $victim
exits 130 "SIGINT while stdin is slow" wait $victim
exec 3>&-
check "says how far it got" grep -q '1 value was' "$tap_dir/slow.err"

# A range that is interrupted while nobody reads its stdout gives back what was not written.
chanctl make many --type string --cap 1000
yes "$(printf '%0999d' 0)" | head -1000 | chanctl send many --lines
mkfifo "$tap_dir/pipe"
exec 4<>"$tap_dir/pipe"
chanctl range many >"$tap_dir/pipe" &
victim=$!
# It is stuck when the pipe is full and its credit is out, which shows as no more progress.
full=
until [ -n "$full" ] && [ "$full" = "$(stat_of many received)" ] && [ "$full" -gt 0 ]; do
	full=$(stat_of many received)
	sleep 0.1
done
kill -INT $victim
exits 130 "SIGINT while stdout is stuck" wait $victim
exec 5<"$tap_dir/pipe" 4>&- # nobody writes any more: it ends where what is in it ends
cat <&5 >"$tap_dir/read"
exec 5<&-
whole=$(grep -c '^0\{999\}$' "$tap_dir/read")
same "every value was either written or is there again" 1000 $((whole + $(stat_of many len)))

tap_end
