#!/bin/sh
# The progress line: only where a person sees it and it is in nobody's way, and not too often.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
if ! script -qec true /dev/null >/dev/null 2>&1 </dev/null; then
	echo "1..0 # SKIP script(1) cannot make a terminal here"
	exit 0
fi
daemon_start

# slowly COMMAND: values, fifty a second, for two seconds and on until the command succeeds
slowly() {
	i=0
	until [ $i -ge 100 ] && { "$@" || [ $i -ge 3000 ]; }; do
		i=$((i + 1))
		echo $i
		sleep 0.02
	done
}

# Where whoever reads them begins late the first second of values shows no line.
is_shown() {
	grep -q 'range seen' "$out"
}

now_ms() {
	echo $(($(date +%s%N) / 1000000))
}

# on_terminal COMMAND: stdout and stderr are a terminal, which shows in $out
on_terminal() {
	script -qec "$1" /dev/null >"$out" 2>&1 </dev/null
}

chanctl make seen --type int --cap 100
chanctl make unseen --type int --cap 100
slowly is_shown | chanctl send seen --lines --close 2>"$err" &
began=$(now_ms)
on_terminal "chanctl range seen >'$tap_dir/seen'"
took=$(($(now_ms) - began))
same "the values are data alone" "$(seq "$(tail -n 1 "$tap_dir/seen")")" "$(cat "$tap_dir/seen")"
prints "a line tells how far it is" 'range seen: [0-9]* values, [0-9]*/s'
updates=$(tr '\r' '\n' <"$out" | grep -c 'range seen')
check "at most five times a second ($updates in $took ms)" test "$updates" -le $((took / 200 + 1))
same "a stderr that is no terminal has none" "" "$(cat "$err")"

slowly true | chanctl send unseen --lines --close &
on_terminal "chanctl range unseen"
same "nor is there one among the values" 0 "$(grep -c 'range unseen' "$out")"

tap_end
