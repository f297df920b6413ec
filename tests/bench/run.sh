#!/bin/sh
# make bench: measures goroutines and channels in the process, then private daemons, and prints
# `row median (least to most) unit` over $BENCH_RUNS runs (default 5). $BENCH_PARTS says which parts
# of: inproc daemon load scale. In seconds a run they take some 45, 25, 30 and 30.
#
# Absolute times are this machine's and this hour's: compare rows of one run, or ratios against
# something measured beside them (make bench-peers).
cd "$top_builddir" || exit 1
: "${BENCH_RUNS:=5}" "${BENCH_PARTS:=inproc daemon load scale}"
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
		for row in $(tests/bench/inproc); do
			for run in $(seq "$BENCH_RUNS"); do
				tests/bench/inproc -procs $procs $row
			done
		done >"$room/rows"
		echo "== in the process, $procs processor(s)"
		rows "$room/rows"
	done
}

# start_daemon URL: which clients find at $BENCH_ADDR.
start_daemon() {
	./chand --listen "$1" 2>"$room/log" &
	daemon=$!
	export BENCH_DAEMON=$daemon
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

# Clients in great numbers: each load has a daemon of its own, so that none is measured with what
# another left behind.
on_its_own() {
	start_daemon "$BENCH_ADDR"
	"$@" || echo "failed: $*" >&2
	stop_daemon
}

loads() {
	for run in $(seq "$BENCH_RUNS"); do
		for channels in 1 100 10000; do
			for crew in "1 1" "4 4" "16 16" "1 16" "16 1"; do
				on_its_own tests/bench/load flow $crew $channels 400000
			done
		done
		on_its_own tests/bench/load fair 64 1 3
		on_its_own tests/bench/load fair 1 64 3
		on_its_own tests/bench/load mixed 200000
		on_its_own tests/bench/load rendezvous 1 1 20000
		on_its_own tests/bench/load rendezvous 16 16 50000
		on_its_own tests/bench/load select 1 8 20000
		on_its_own tests/bench/load select 16 8 50000
		on_its_own tests/bench/load steady 5
	done
}

scales() {
	for run in $(seq "$BENCH_RUNS"); do
		for number in 100 10000 100000; do
			on_its_own tests/bench/scale channels $number
		done
		for number in 100 1000 10000; do
			on_its_own tests/bench/scale connections $number
		done
	done
}

for part in $BENCH_PARTS; do
	case $part in
	inproc)
		in_process
		;;
	daemon)
		through_daemon "unix:$room/chand.sock" "unix:$room/chand.sock"
		port=$((20000 + $$ % 10000))
		through_daemon "tcp:127.0.0.1:$port" "tcp://127.0.0.1:$port"
		;;
	load | scale)
		export BENCH_ADDR="unix:$room/chand.sock"
		${part}s >"$room/rows"
		echo "== ${part}s, unix"
		rows "$room/rows"
		;;
	*)
		echo "BENCH_PARTS: no such part: $part" >&2
		exit 1
		;;
	esac
done
