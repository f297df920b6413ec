#!/bin/sh
# A value that stdout refuses goes back to its place; one that it took is gone.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
daemon_start

chanctl make b --type string --cap 1000
chanctl make u --type string
chanctl send b one two three

exits 74 "recv: stdout is full" sh -c 'chanctl recv b >/dev/full'
says "it says so" 'No space'
same "the value is there" 3 "$(stat_of b len)"
exits 74 "range: stdout is full" sh -c 'chanctl range b >/dev/full'
exits 74 "stdout is closed" sh -c 'chanctl recv b >&-'
same "nothing is lost" 3 "$(stat_of b len)"
same "in its old place, marked" "one, attempt" "$(chanctl recv b --format '%v, attempt %a' | sed 's/ [0-9]*$//')"
same "the rest in order" "two|three|" "$(chanctl recv b -n 2 | tr '\n' '|')"
same "nothing came twice" 0 "$(stat_of b len)"

# The reader of the pipe goes away.
yes "$(printf '%099d' 0)" | head -1000 | chanctl send b --lines
exits 74 "the reader of stdout has gone" sh -c '{ chanctl range b; echo $? >"$1"; } | head -5 >"$2"
	exit "$(cat "$1")"' - "$tap_dir/code" "$tap_dir/head"
same "what it took, it took" 5 "$(wc -l <"$tap_dir/head" | tr -d ' ')"
check "the rest is still there" test "$(stat_of b len)" -gt 0
chanctl rm b

# A range notices that nobody reads before it takes a value.
mkfifo "$tap_dir/pipe"
chanctl range u >"$tap_dir/pipe" 2>"$tap_dir/range.err" &
victim=$!
exec 4<"$tap_dir/pipe"
waiting u receivers 1
exec 4<&-
exits 74 "a range whose reader goes ends by itself" wait $victim
waiting u receivers 0

# An unbuffered send ends only when the value was written.
mkfifo "$tap_dir/stuck"
exec 4<>"$tap_dir/stuck"
head -c 65536 /dev/zero >&4
chanctl recv u >"$tap_dir/stuck" &
victim=$!
waiting u receivers 1
chanctl send u hello --timeout 50ms 2>/dev/null &
sender=$!
becomes "the value is out" 1 stat_of u in_flight
kill -INT $victim
exits 130 "the receiver is interrupted before it has written the value" wait $victim
exits 124 "so the send is not done" wait $sender
exec 4>&-

# Who is stuck lives all the same, and keeps what it holds: fifteen seconds are twice too long for one
# that says nothing. (It says something after half of seven, and may stand still for some time.)
exits 0 "the daemon ends in order" daemon_stop
daemon_start --silence-timeout 7s
chanctl make b --type string --cap 10
chanctl make clock
exec 4<>"$tap_dir/stuck"
head -c 65536 /dev/zero >&4
chanctl send b one
chanctl recv b >"$tap_dir/stuck" &
victim=$!
becomes "the value is out" 1 stat_of b in_flight
exits 124 "fifteen seconds pass" chanctl recv clock --timeout 15s
same "it is still out" 1 "$(stat_of b in_flight)"
kill -INT $victim
wait $victim
exec 4>&-

tap_end
