#!/bin/sh
# make bench: measures goroutines and channels in the process, then a private daemon, and prints
# `row median (least to most) unit` over $BENCH_RUNS runs (default 5).
#
# Absolute times are this machine's and this hour's: compare rows of one run, or ratios against
# something measured beside them (see RESULTS.md).
cd "$top_builddir" || exit 1
: "${BENCH_RUNS:=5}" "${BENCH_SECONDS:=1}"
room=$(mktemp -d)
daemon=
trap 'test -z "$daemon" || kill "$daemon" 2>/dev/null; rm -rf "$room"' EXIT

# rows FILE: medians of lines `row value unit`.
rows() {
	sort -s -k1,1 -k2,2g "$1" | awk '
	function flush() {
		if (n)
			printf "%-28s %12.6g  (%.6g to %.6g) %s\n", row, v[int((n + 1) / 2)], v[1], v[n], unit
		n = 0
	}
	$1 != row { flush(); row = $1; unit = $3 }
	{ v[++n] = $2 }
	END { flush() }'
}

in_process() {
	for procs in 1 2; do
		: >"$room/rows"
		for row in yield_2 yield_1000 spawn_join1 spawn_batch1000 pingpong_rtt pipe_unbuf \
			pipe_cap1 pipe_cap100 pipe_4x4_cap100 select2_ready select2_block; do
			for run in $(seq "$BENCH_RUNS"); do
				tests/bench/inproc -procs $procs $row
			done
		done >"$room/rows"
		echo "== in the process, $procs processor(s)"
		rows "$room/rows"
	done
}

start_daemon() {
	./chand --listen "$1" 2>"$room/log" &
	daemon=$!
	for try in $(seq 100); do
		tests/bench/peer setup >/dev/null 2>&1 && return
		sleep 0.1
	done
	cat "$room/log" >&2
	exit 1
}

stop_daemon() {
	kill "$daemon"
	wait "$daemon"
	daemon=
}

# pair SECOND_ROLE FIRST_ROLE ARGUMENTS...: the second is ready before the first starts.
pair() {
	second=$1 first=$2
	shift 2
	: >"$room/second"
	tests/bench/peer "$second" "$@" >"$room/second" &
	peer=$!
	until grep -q ready "$room/second" || ! kill -0 $peer 2>/dev/null; do sleep 0.02; done
	tests/bench/peer "$first" "$@" >"$room/first"
	wait $peer
	cat "$room/first" "$room/second"
}

through_daemon() {
	export BENCH_ADDR="$1"
	: >"$room/rows"
	start_daemon "$2"
	for run in $(seq "$BENCH_RUNS"); do
		for bytes in 16 128 1024 65536; do
			n=$((400000 / (1 + bytes / 100)))
			tests/bench/peer setup >/dev/null
			pair consume produce $n $bytes | awk -v n=$n -v b=$bytes '
				$1 == "start_ns" { s = $2 } $1 == "end_ns" { e = $2 }
				END { printf "values_%dB %.0f values/s\n", b, n / (e - s) * 1e9 }'
		done >>"$room/rows"
		tests/bench/peer setup >/dev/null
		pair pong ping 5000 16 | awk '
			$1 ~ /^p[59]/ { printf "round_trip_%s %.1f us\n", substr($1, 1, index($1, "_") - 1), $2 / 1000 }' \
			>>"$room/rows"
		for conns in 1 50 -50; do
			tests/bench/peer setup >/dev/null
			tests/bench/peer sync $conns 20000 16 |
				awk -v c=$conns '$1 == "rate" {
					print "sends_" (c < 0 ? -c "_on_one" : c "_apart"), $2, "sends/s" }'
		done >>"$room/rows"
	done
	stop_daemon
	echo "== through the daemon, ${1%%:*}"
	rows "$room/rows"
}

test ! -x tests/bench/inproc || in_process
through_daemon "unix:$room/chand.sock" "unix:$room/chand.sock"
port=$((20000 + $$ % 20000))
through_daemon "tcp:127.0.0.1:$port" "tcp://127.0.0.1:$port"
