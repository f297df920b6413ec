#!/bin/sh
# make demo: a private daemon, one producer, three consumers, a close.
set -e
cd "$top_builddir"
room=$(mktemp -d)
CHAN_URL=unix:$room/chand.sock
export CHAN_URL
daemon=
trap 'test -z "$daemon" || kill "$daemon"; rm -rf "$room"' EXIT

say() { printf '\033[1m%s\033[0m\n' "$*"; }

say '$ chand &'
./chand --listen "$CHAN_URL" 2>"$room/log" &
daemon=$!
tries=0
until ./chanctl ping >/dev/null 2>&1; do
	tries=$((tries + 1))
	test $tries -lt 100 || { cat "$room/log" >&2; exit 1; }
	sleep 0.1
done

say '$ chanctl make squares --type int --cap 4'
./chanctl make squares --type int --cap 4

say '$ chanctl range squares &        (three consumers)'
for consumer in A B C; do
	./chanctl range squares | while read -r value; do
		echo "  consumer $consumer received $value"
	done &
	consumers="$consumers $!"
done

say '$ ...each square... | chanctl send squares --lines --close'
i=0
while [ $i -lt 12 ]; do
	i=$((i + 1))
	echo $((i * i))
done | ./chanctl send squares --lines --close

wait $consumers
say 'The channel is closed and drained: every consumer has ended by itself.'
./chanctl stat squares
