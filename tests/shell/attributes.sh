#!/bin/sh
# What make says beyond type and capacity: producers, attempts, dead letters; and close --abort.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
daemon_start

# ---- producers --------------------------------------------------------------------------------
check "make --producers" chanctl make two --type int --cap 100 --producers 2
check "again" chanctl make two --type int --cap 100 --producers 2
exits 66 "with another number" chanctl make two --type int --cap 100 --producers 3
same "stat tells of them" "2 0" "$(stat_of two producers) $(stat_of two producers_open)"
check "one is done" chanctl send two --close 1 2
same "the channel is not closed" false "$(stat_of two closed)"
check "the second, too" chanctl send two --close 3
check "and now it is" chanctl range two
same "when both have sent what they had" "1 2 3 " "$(tr '\n' ' ' <"$out")"
exits 64 "--producers none" chanctl make none --producers none

chanctl make dies --type int --cap 100 --producers auto
mkfifo "$tap_dir/slow"
chanctl send dies --lines --close <"$tap_dir/slow" 2>"$tap_dir/slow.err" &
producer=$!
exec 3>"$tap_dir/slow"
echo 1 >&3
becomes "a producer has sent a value" 1 stat_of dies len
kill -s KILL $producer
wait $producer 2>/dev/null
exec 3>&-
exits 5 "a producer that dies is no end of stream" chanctl range dies
same "after what it had sent" 1 "$(cat "$out")"
says "it says so" 'abort'
exits 5 "for who sends later, too" chanctl send dies 2

# ---- close --abort ----------------------------------------------------------------------------
chanctl make torn --type int --cap 10
chanctl send torn 1
check "close --abort" chanctl close torn --abort --reason 'the disk is full'
exits 5 "receivers get what is left, and then no end but a failure" chanctl range torn
same "what was left" 1 "$(cat "$out")"
says "with who and why" 'chanctl\[.*the disk is full'
check "stat says it" sh -c 'chanctl stat torn | grep -q "closed *aborted"'
check "ls, too" sh -c 'chanctl ls | grep -q "torn.*aborted"'

# ---- dead letters -----------------------------------------------------------------------------
chanctl make dead --type any --cap 10
check "make --attempts and --dead" chanctl make jobs --cap 10 --attempts 2 --dead dead
same "stat tells of them" "2 dead" "$(stat_of jobs attempts_max) $(stat_of jobs dead_letter)"
exits 64 "one without the other" chanctl make bad --attempts 2
chanctl send jobs good bad
chanctl close jobs
check "a worker that knows nothing of it" chanctl worker jobs --backoff 1ms -- sh -c '[ {} = good ]'
same "the broker sends what failed there" bad "$(chanctl recv dead)"
check "stat counts it" sh -c 'chanctl stat jobs | grep -q "dead letters *1 in dead, after 2 attempts"'

tap_end
