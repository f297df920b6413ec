#!/bin/sh
# --json on every command that prints.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
daemon_start

chanctl make i --type int --cap 10
chanctl make f --type float --cap 10
chanctl make s --type string --cap 10
chanctl make y --type bytes --cap 10
chanctl make q --type signal --cap 10
chanctl make a --type any --cap 10

chanctl send i 42
same "int" '{"channel":"i","type":"int","value":42}' "$(chanctl recv i --json)"
chanctl send f 0.1
same "float" '{"channel":"f","type":"float","value":0.1}' "$(chanctl recv f --json)"
chanctl send s 'say "hi"'
same "string" '{"channel":"s","type":"string","value":"say \"hi\""}' "$(chanctl recv s --json)"
printf '\377\000' | chanctl send y -
same "bytes" '{"channel":"y","type":"bytes","value_base64":"/wA="}' "$(chanctl recv y --json)"
chanctl send q
same "signal" '{"channel":"q","type":"signal","value":null}' "$(chanctl recv q --json)"
chanctl send a --as bool true
same "any" '{"channel":"a","type":"bool","value":true}' "$(chanctl --json recv a)"

chanctl send i 1 2 && chanctl close i
same "range: one object a line" 2 "$(chanctl range i --json | grep -c '^{"channel":"i"')"

chanctl send s x
same "select" '{"channel":"s","type":"string","value":"x","case":"recv"}' \
	"$(chanctl select recv:s --json)"
same "select on a closed channel" '{"channel":"i","case":"closed"}' \
	"$(chanctl select recv:i --json)"
same "select that sends" '{"channel":"s","case":"send"}' "$(chanctl select send:s=1 --json)"

chanctl stat s --json >"$out"
for field in name type cap len closed senders_waiting receivers_waiting; do
	prints "stat has $field" "\"$field\":"
done
same "stat name" s "$(stat_of s name)"
same "stat type" string "$(stat_of s type)"
same "stat cap" 10 "$(stat_of s cap)"
same "stat len" 1 "$(stat_of s len)"
same "stat closed" false "$(stat_of s closed)"
same "stat of a closed channel" true "$(stat_of i closed)"
check "says who closed it" sh -c 'chanctl stat i --json | grep -q "\"closed_by\":\"chanctl\["'

chanctl make long
chanctl close long --reason "$(printf '%0200d' 0 | sed 's/0/ü/g')"
same "a long reason is cut between its characters" 127 "$(stat_of long reason | sed 's/ü/u/g' | tr -d '\n' | wc -c | tr -d ' ')"
chanctl rm long

same "ls: an element a line" 6 "$(chanctl ls --json | grep -c '{"name":.*}[],]$')"
check "ping" sh -c 'chanctl ping --json | grep -q "\"round_trip_ns\":"'
chanctl make w --type int
chanctl recv w >/dev/null 2>&1 &
waiting w receivers 1
check "ps" sh -c 'chanctl ps --json | grep -q "\"operation\": *\"recv\""'
kill $! && wait $!

# What a JSON parser says, where there is one.
if [ -n "$PYTHON" ] && [ "$PYTHON" != : ]; then
	for command in "ls" "stat s" "ps" "ping" "select send:s=1"; do
		check "$command is JSON" sh -c \
			"chanctl $command --json | $PYTHON -c 'import json,sys; json.load(sys.stdin)'"
	done
fi

tap_end
