#!/bin/sh
# Many lines through `send --lines` to four concurrent `range`: what comes out is what went in.
#   CHAND_TEST_LINES   how many (the default is for a quick suite; 200000 is the measure)
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
lines=${CHAND_TEST_LINES:-20000}
daemon_start --listen tcp://127.0.0.1:0
unix_url=$CHAN_URL
tcp_url=$(sed -n 's/.*\(tcp:\/\/127\.0\.0\.1:[0-9][0-9]*\).*/\1/p' "$tap_dir/log" | grep -v ':0$' | head -1)

# Paths as find(1) would print them: of many lengths, some with blanks.
awk -v n="$lines" 'BEGIN {
	for (i = 0; i < n; i++) {
		path = "/usr"
		for (j = i; j > 0; j = int(j / 7))
			path = path "/" (j % 13 ? "" : "a name ") j
		print path
	}
}' >"$tap_dir/in"
sort "$tap_dir/in" >"$tap_dir/in.sorted"

# through NAME CHANNEL CAPACITY SEND_OPTION RANGE_OPTION
through() {
	chanctl make "$2" --type string --cap "$3"
	consumers=
	for consumer in 1 2 3 4; do
		chanctl range "$2" >"$tap_dir/out.$consumer" &
		consumers="$consumers $!"
	done
	check "$1: send" sh -c 'chanctl send "$1" --lines --close <"$2"' - "$2" "$tap_dir/in"
	for consumer in $consumers; do
		exits 0 "$1: a consumer ends by itself" wait "$consumer"
	done
	cat "$tap_dir"/out.? | sort | cmp - "$tap_dir/in.sorted" >"$err" 2>&1
	tap_result $? "$1: what comes out is exactly what went in"
	for consumer in 1 2 3 4; do
		# Each consumer sees a subsequence: a producer's values come in their order.
		awk 'NR == FNR { at[$0] = FNR; next } !($0 in at) || at[$0] <= last { exit 1 }
			{ last = at[$0] }' "$tap_dir/in" "$tap_dir/out.$consumer"
		tap_result $? "$1: consumer $consumer saw them in order"
	done
	same "$1: nothing is left" 0 "$(stat_of "$2" len)"
}

through "unix" files 100
check "there is a TCP port" test -n "$tcp_url"
CHAN_URL=$tcp_url
through "tcp" files.tcp 100
CHAN_URL=$unix_url
head -1000 "$tap_dir/in" >"$tap_dir/in.less" && mv "$tap_dir/in.less" "$tap_dir/in"
sort "$tap_dir/in" >"$tap_dir/in.sorted"
through "unbuffered" files.unbuffered 0

# Without a buffer no value is offered before the one ahead of it was taken: a stream has no holes.
chanctl make meet --type string
chanctl send meet one two three &
sender=$!
becomes "one of several values waits" 1 stat_of meet senders_waiting
for value in one two three; do
	same "they come in order" "$value" "$(chanctl recv meet)"
done
exits 0 "the sender ends" wait "$sender"

# Large values among small ones, by length.
awk 'BEGIN { for (i = 0; i < 20; i++) { s = sprintf("%d", i)
	for (j = 0; j < i; j++) s = s s; print substr(s, 1, 300000) } }' >"$tap_dir/large"
chanctl make large --type bytes --cap 2
chanctl range large >"$tap_dir/large.out" &
check "large values" sh -c 'chanctl send large --lines --close <"$1"' - "$tap_dir/large"
wait $!
check "come as they went" cmp "$tap_dir/large" "$tap_dir/large.out"

# A file of one value, through - and --raw.
head -c 1000000 /dev/urandom >"$tap_dir/blob"
chanctl make blob --type bytes --cap 1
check "a megabyte at once" sh -c 'chanctl send blob - <"$1"' - "$tap_dir/blob"
chanctl recv blob --raw >"$tap_dir/blob.out"
check "comes as it went" cmp "$tap_dir/blob" "$tap_dir/blob.out"

tap_end
