#!/bin/sh
# ls, stat, ps and ping for people; durations; where the broker is looked for.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
daemon_start

chanctl make jobs.in --type string --cap 10
chanctl make jobs.out --type int
chanctl make other --type signal
chanctl send jobs.in a b c

same "ls is in the order of names" "jobs.in jobs.out other " \
	"$(chanctl ls | tail -n +2 | awk '{ printf "%s ", $1 }')"
same "ls PREFIX" "jobs.in jobs.out " "$(chanctl ls jobs. | tail -n +2 | awk '{ printf "%s ", $1 }')"
same "ls has a row for each" "jobs.in string 10 3 0 0 open" \
	"$(chanctl ls jobs.in | tail -n 1 | awk '{ $1 = $1; print }')"
same "ls is aligned" 1 "$(chanctl ls | awk '{ print index($0, $2) }' | sort -u | wc -l | tr -d ' ')"
check "stat" sh -c 'chanctl stat jobs.in | grep -q "^capacity *10$"'

chanctl recv jobs.out --timeout 1h >/dev/null 2>&1 &
receiver=$!
waiting jobs.out receivers 1
check "ps shows who" sh -c "chanctl ps | grep -q 'chanctl\\[$receiver\\]@'"
check "ps shows on what" sh -c 'chanctl ps | grep -q "recv .*jobs.out"'
check "ls shows that somebody waits" sh -c 'chanctl ls jobs.out | grep -q "0 *1  *open"'
kill $receiver
wait $receiver

check "ping" sh -c 'chanctl ping | grep -q "round trip"'
same "ping -n" 3 "$(chanctl ping -n 3 | wc -l | tr -d ' ')"

for duration in 1ns 10us 5ms 0.02s 1.5ms; do
	exits 124 "--timeout $duration" chanctl recv jobs.out --timeout $duration
done
for duration in 1m 1h 500ms 2s; do
	exits 0 "--timeout $duration" chanctl recv jobs.in --timeout $duration
	chanctl send jobs.in again
done
for duration in 5 s -1s 1x 1m30s '1 s' 1e3s; do
	exits 64 "--timeout '$duration'" chanctl recv jobs.in "--timeout=$duration"
done
says "it says what it wants" --timeout

# What others are called does not steer the terminal.
chanctl make odd
chanctl close odd --reason "$(printf 'a\033[1mb\302\233c\nd')"
exits 3 "a reason with control characters" chanctl send odd x
says "is shown without them, in one line" 'reason: a?\[1mb??c?d'
check "stat of it" chanctl stat odd
prints "the same" 'a?\[1mb??c?d'

# Where the broker is
check "--url before the command" env -u CHAN_URL chanctl --url "$CHAN_URL" ping
check "and after it" env -u CHAN_URL chanctl ping --url "$CHAN_URL"
check "--url is stronger than CHAN_URL" env CHAN_URL=unix:/nowhere chanctl --url "$CHAN_URL" ping
check "XDG_RUNTIME_DIR" env -u CHAN_URL XDG_RUNTIME_DIR="$tap_dir" chanctl ping

exits 0 "the daemon ends in order" daemon_stop
exits 69 "and then there is none" chanctl ping
exits 69 "for any command" chanctl recv jobs.in
says "it says where it looked" chand.sock

tap_end
