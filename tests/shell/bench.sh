#!/bin/sh
# chanctl bench measures, and leaves nothing behind.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
daemon_start

check "bench" chanctl bench --values 2000 --round-trips 50
prints "values a second" '^stream .*values/s'
prints "round trips" '^round trip .*p50 .*p99'
check "bench --json" chanctl bench --values 2000 --round-trips 50 --bytes 1000 --cap 10 --json
prints "values_per_second" '"values_per_second":[1-9]'
prints "round_trip_p99_ns" '"round_trip_p99_ns":[1-9]'
check "an unbuffered stream" chanctl bench --values 500 --round-trips 10 --cap 0
exits 64 "no values" chanctl bench --values 0
same "its channels are gone" "" "$(chanctl ls --json | grep '"name"')"

tap_end
