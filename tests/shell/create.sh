#!/bin/sh
# Names are explicit: what --create and --wait-create do, and how make and rm behave.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
daemon_start

exits 66 "nothing is made by accident" chanctl send a 1
says "it says what to do" create
same "nothing was" "" "$(chanctl ls --json | grep '"name"')"

check "send --create" chanctl send a --create --type int --cap 3 1
same "type" int "$(stat_of a type)"
same "cap" 3 "$(stat_of a cap)"
check "--create without attributes takes what is there" chanctl send a --create 2
exits 66 "--create with others refuses" chanctl recv a --create --type string
says "it shows the difference" int
check "the same attributes" chanctl recv a --create --type int --cap 3
check "--create without attributes makes strings" sh -c 'chanctl send s --create --try x; [ $? -eq 2 ]'
same "type" string "$(stat_of s type)"
same "cap" 0 "$(stat_of s cap)"

exits 124 "--wait-create, and nobody makes it" chanctl recv later --wait-create --timeout 50ms
chanctl recv later --wait-create >"$tap_dir/recv" &
receiver=$!
becomes "ps shows who waits for it" 1 sh -c 'chanctl ps | grep -c "open .*later"'
check "make" chanctl make later --type int
check "send" chanctl send later 11
exits 0 "the receiver went on" wait $receiver
same "and got it" 11 "$(cat "$tap_dir/recv")"
exits 64 "--try and --wait-create exclude each other" chanctl recv nowhere --try --wait-create
exits 64 "--create and --wait-create exclude each other" chanctl recv x --create --wait-create

chanctl send a 3
check "rm drops what is left" chanctl rm a
exits 66 "it is no more" chanctl stat a
check "a new one of the name" chanctl make a --type string --cap 1
same "is empty" 0 "$(stat_of a len)"
check "rm of several" chanctl rm a s later
exits 66 "rm tells what is not there" chanctl rm a
chanctl make last --type int
exits 66 "rm goes on after a failure" chanctl rm nowhere last
same "all are gone" "" "$(chanctl ls --json | grep '"name"')"

check "close --reason" sh -c 'chanctl make r && chanctl close r --reason "out of stock"'
exits 3 "send shows the reason" chanctl send r x
says "that was given" 'out of stock'
check "stat, too" sh -c 'chanctl stat r | grep -q "out of stock"'

tap_end
