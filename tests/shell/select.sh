#!/bin/sh
# One of several operations.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
daemon_start

chanctl make a --type int --cap 2
chanctl make b --type string --cap 1
chanctl make u --type int

check "a receive that can happen" sh -c 'chanctl send a 7 && chanctl select recv:a recv:b'
same "its line" "recv a 7" "$(cat "$out")"
check "a send that can happen" chanctl select recv:a send:b=hello
same "its line" "send b" "$(cat "$out")"
check "a value may hold ="  sh -c 'chanctl recv b && chanctl select send:b=x=y'
same "all of it arrives" "x=y" "$(chanctl recv b)"

exits 2 "--try, nothing ready" chanctl select recv:a recv:b send:u=1 --try
same "prints nothing" "" "$(cat "$out")"
exits 124 "--timeout" chanctl select recv:a recv:u --timeout 30ms
same "losing cases left nothing" "0 0" "$(stat_of a receivers_waiting) $(stat_of u receivers_waiting)"

chanctl select recv:a recv:u >"$tap_dir/select" &
selects=$!
waiting a receivers 1
waiting u receivers 1
check "a send wakes it" chanctl send u 5
wait $selects
same "with the case that happened" "recv u 5" "$(cat "$tap_dir/select")"
same "and the other stands no more" 0 "$(stat_of a receivers_waiting)"

chanctl select send:u=9 recv:a >"$tap_dir/select" &
selects=$!
waiting u senders 1
same "a receive takes from a select's send case" 9 "$(chanctl recv u)"
wait $selects
same "which says so" "send u" "$(cat "$tap_dir/select")"

chanctl send a 1
chanctl close a
check "closed, but not drained: the value comes" chanctl select recv:a
same "its line" "recv a 1" "$(cat "$out")"
exits 1 "closed and drained" chanctl select recv:a recv:u
same "its line" "closed a" "$(cat "$out")"
exits 1 "a send case on a closed channel" chanctl select send:a=2
same "its line" "closed a" "$(cat "$out")"

exits 66 "no such channel" chanctl select recv:nowhere recv:u
exits 65 "a value that does not fit" chanctl select send:u=x
exits 64 "what is no case" chanctl select u

# Among ready cases chance decides: 60 draws of two miss one with 2^-59.
chanctl make x --type int --cap 100
chanctl make y --type int --cap 100
seq 100 | chanctl send x --lines
seq 100 | chanctl send y --lines
i=0
while [ $i -lt 60 ]; do
	i=$((i + 1))
	chanctl select recv:x recv:y
done | cut -d' ' -f1,2 | sort -u >"$tap_dir/seen"
same "both of two ready cases happen" "recv x|recv y|" "$(tr '\n' '|' <"$tap_dir/seen")"
same "each draw took one value" 140 "$(($(stat_of x len) + $(stat_of y len)))"

# A full stdout gives the value back.
exits 74 "select: stdout is full" sh -c 'chanctl select recv:x >/dev/full'
exits 0 "the value is there again" chanctl recv x

tap_end
