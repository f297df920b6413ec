#!/bin/sh
# chanctl top where there is no terminal: pages as text and as JSON. (On one: tests/python/terminal.py.)
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
daemon_start

check "top without channels" chanctl top
same "is a page of titles" 1 "$(wc -l <"$out" | tr -d ' ')"

chanctl make idle --type string
chanctl make busy --type int --cap 100
seq 50 | chanctl send busy --lines
check "top" chanctl top
same "is one page, the busiest first" "busy idle " "$(awk 'NR > 1 { printf "%s ", $1 }' "$out")"
prints "with what is in a channel" 'busy  *int  *100  *50 '
check "top PREFIX" chanctl top i
same "shows those alone" "idle " "$(awk 'NR > 1 { printf "%s ", $1 }' "$out")"

check "-n: so many pages" chanctl top -n 2 --interval 100ms
same "each whole" 2 "$(grep -c '^busy' "$out")"
same "between them nothing was sent" 0 "$(awk '/^busy/ { sent = $8 } END { print sent }' "$out")"

check "--json" chanctl top --json -n 2 --interval 100ms
same "a line a page" 2 "$(grep -c '"channels\|^\[.*\]$' "$out")"
head -1 "$out" >"$tap_dir/page"
check "which is JSON" sh -c '<"$1" "${PYTHON:-python3}" -c "
import json, sys
page = json.load(sys.stdin)
channel = {c[\"name\"]: c for c in page}[\"busy\"]
assert channel[\"len\"] == 50 and channel[\"sent_per_second\"] > 0, channel
"' sh "$tap_dir/page"

exits 64 "an interval that is none" chanctl top --interval 1ms

chanctl top -n 1000 --interval 1h >"$tap_dir/first" &
top=$!
becomes "a first page" yes sh -c "[ -s '$tap_dir/first' ] && echo yes"
kill $top
exits 143 "SIGTERM between pages" wait $top
exits 74 "a full stdout" sh -c 'chanctl top >/dev/full'

tap_end
