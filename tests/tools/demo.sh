#!/bin/sh
# make demo: a private daemon, one producer, three consumers, a close.
set -e
cd "$top_builddir"
room=$(mktemp -d)
CHAN_URL=unix:$room/chand.sock
export CHAN_URL
daemon=
consumers=
trap 'test -z "$daemon" || kill "$daemon"; rm -rf "$room"' EXIT

say() {
	if [ -t 1 ]; then printf '\033[1m%s\033[0m\n' "$*"; else echo "$*"; fi
}

# until_true TEXT COMMAND...: looks every 0.1 s, 100 times at most.
until_true() {
	what=$1
	shift
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		test $tries -lt 100 || { echo "$what"; cat "$room/log"; exit 1; } >&2
		sleep 0.1
	done
}

answers() { ./chanctl ping >/dev/null 2>&1; }
three_wait() { ./chanctl stat squares | grep -q '^receivers waiting *3$'; }

say '$ chand &'
./chand --listen "$CHAN_URL" 2>"$room/log" &
daemon=$!
until_true 'the daemon does not answer' answers

say '$ chanctl make squares --type int --cap 4'
./chanctl make squares --type int --cap 4

say '$ chanctl range squares &        (three consumers)'
for consumer in A B C; do
	./chanctl range squares | while read -r value; do
		echo "  consumer $consumer received $value"
	done &
	consumers="$consumers $!"
done
until_true 'the consumers do not wait' three_wait

say '$ ...each square... | chanctl send squares --lines --close'
i=0
while [ $i -lt 12 ]; do
	i=$((i + 1))
	echo $((i * i))
done | ./chanctl send squares --lines --close

wait $consumers
say 'The channel is closed and drained: every consumer has ended by itself.'
./chanctl stat squares
