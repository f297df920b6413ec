#!/bin/sh
# chanctl lock and sem: never more than so many at once, whoever dies.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
daemon_start
cd "$tap_dir" || exit 1
mkfifo gate

gone() {
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
	case $state in '' | Z | X) echo gone ;; esac
}

# hold NAME OPTION...: holds it in the background until the gate is opened; the command's pid is in
# NAME.pid
hold() {
	lock=$1
	rm -f "$lock.pid"
	chanctl lock "$@" -- sh -c "echo \$\$ >$lock.pid; read line <gate" 2>"$lock.err" &
	holder=$!
	becomes "$lock is held" yes sh -c "[ -s $lock.pid ] && echo yes"
}

# ---- the command ------------------------------------------------------------------------------
check "lock makes its channel and runs the command" chanctl lock l -- echo done
same "which prints" done "$(cat "$out")"
same "it is a channel of one signal" "signal 1 1" "$(stat_of l type) $(stat_of l cap) $(stat_of l len)"
exits 7 "the command's exit status" chanctl lock l -- sh -c 'exit 7'
exits 143 "or 128 + the signal that ended it" chanctl lock l -- sh -c 'kill $$'
exits 127 "no such command" chanctl lock l -- ./no-such-command
: >not-executable
exits 126 "one that cannot be run" chanctl lock l -- ./not-executable
same "each time the permit came back" 1 "$(stat_of l len)"
check "stdin is the command's" sh -c 'echo hello | chanctl lock l -- cat'
same "all of it" hello "$(cat "$out")"
check "-- and options of the command are its own" chanctl lock l -- echo -- --json -n {}
same "none is taken, and {} is nothing special" "-- --json -n {}" "$(cat "$out")"
first=$(chanctl lock l -- sh -c 'echo $CHAN_FENCE')
second=$(chanctl lock l -- sh -c 'echo $CHAN_FENCE')
check "the fencing token rises ($first, $second)" test "$second" -gt "$first"
same "the channel and the broker" "l $CHAN_URL" "$(chanctl lock l -- sh -c 'echo $CHAN_CHANNEL $CHAN_URL')"

exits 64 "no command" chanctl lock l
exits 64 "not behind --" chanctl lock l true
exits 64 "sem without -n" chanctl sem s -- true
chanctl make other --type signal --cap 1
exits 66 "a channel of that name with other attributes" chanctl lock other -- true
says "the difference is shown" permits
exits 66 "a semaphore is no lock" sh -c 'chanctl sem three -n 3 -- true; chanctl lock three -- true'
exits 77 "nobody can add a permit" chanctl send l
exits 64 "nor take one for good" chanctl recv l
says "the way is named" 'chanctl lock or sem'
same "there is one" 1 "$(stat_of l len)"

# ---- one at a time ----------------------------------------------------------------------------
# Twenty that all make it and count up, each by reading and writing.
echo 0 >counter
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	chanctl lock race -- sh -c 'n=$(cat counter); echo $((n + 1)) >counter.new; mv counter.new counter; echo x >>ran' &
done
becomes "twenty contenders have run" 20 sh -c 'wc -l <ran'
same "one at a time" 20 "$(cat counter)"
becomes "they have made one permit together" 1 stat_of race len

hold held
exits 124 "--timeout: it is not to be had" chanctl lock held --timeout 100ms -- echo no
same "and nothing ran" "" "$(cat "$out")"
exits 2 "--try" chanctl lock held --try -- echo no
chanctl lock held -- true &
waiter=$!
waiting held receivers 1
kill -s INT $waiter
exits 130 "SIGINT while waiting" wait $waiter
same "it stands no more" 0 "$(stat_of held receivers_waiting)"
chanctl lock held -- sh -c 'echo next' >next &
waiter=$!
waiting held receivers 1
echo >gate
exits 0 "the holder ends" wait $holder
exits 0 "the next gets it" wait $waiter
same "then" next "$(cat next)"

# ---- holders that die -------------------------------------------------------------------------
chanctl lock killed -- sh -c 'trap "" TERM; echo $$ >killed.pid; while :; do sleep 0.05; done' &
holder=$!
becomes "a command that does not heed SIGTERM runs" yes sh -c '[ -s killed.pid ] && echo yes'
command=$(cat killed.pid)
kill -s KILL $holder
wait $holder 2>/dev/null
check "kill -9 of the holder: the permit comes back" \
	chanctl lock killed --timeout 20s -- \
	sh -c 'grep "^State:[[:space:]]*[RSDTt]" "/proc/$1/status" 2>/dev/null || echo mine' - "$command"
same "when its command has ended" mine "$(cat "$out")"

hold stopped --lease 1s
command=$(cat stopped.pid)
kill -s STOP $holder
check "a holder that is stopped loses it" chanctl lock stopped --timeout 20s -- sh -c "! kill -0 $command 2>&1 | grep -q . ; echo mine"
same "when its command has ended" gone "$(gone "$command")"
kill -s CONT $holder
exits 125 "and says so with 125" wait $holder
check "in words, too" grep -q 'lost its lease' stopped.err

hold kept --lease 8s
exits 124 "a lease that is extended is not lost" chanctl lock kept --timeout 11s -- true
echo >gate
exits 0 "the holder ends in order" wait $holder

# ---- signals ----------------------------------------------------------------------------------
# forwarded SIGNAL: the command gets it, and what it ends with is passed on
forwarded() {
	rm -f ready
	# A shell without job control has what it starts in the background ignore INT and QUIT.
	env --default-signal="$1" chanctl lock signals -- sh -c "trap 'echo got $1 >signal; exit 9' $1; echo >ready; while :; do sleep 0.02; done" &
	holder=$!
	becomes "a command runs" yes sh -c '[ -e ready ] && echo yes'
	kill -s "$1" $holder
	exits 9 "SIG$1 goes to the command" wait $holder
	same "which has seen it" "got $1" "$(cat signal)"
}
for signal in INT TERM HUP QUIT USR1 USR2; do forwarded $signal; done

rm -f ready
chanctl lock signals -- sh -c 'echo >ready; exec sleep 1000' &
holder=$!
becomes "a command runs" yes sh -c '[ -e ready ] && echo yes'
kill $holder
exits 143 "a command that a signal ends" wait $holder
same "the permit is back" 1 "$(stat_of signals len)"

# ---- semaphores -------------------------------------------------------------------------------
# Each notes how many are inside when it is; three meet inside, or it would wait for ever.
mkdir inside
chanctl make meet --type signal
chanctl make part --type signal
for i in 1 2 3 4 5 6 7 8 9; do
	chanctl sem pool -n 3 -- sh -c 'mkdir inside/$$; ls inside | wc -l >>counts; chanctl send meet; chanctl recv part >/dev/null; rmdir inside/$$; echo x >>left' &
done
check "three are inside at once" chanctl recv meet -n 3
same "and the others wait" 6 "$(becomes x 6 stat_of pool receivers_waiting >/dev/null; stat_of pool receivers_waiting)"
for i in 1 2 3; do chanctl send part; done
check "the next three" chanctl recv meet -n 3
for i in 1 2 3; do chanctl send part; done
check "and the last" chanctl recv meet -n 3
for i in 1 2 3; do chanctl send part; done
becomes "all nine have been inside" 9 sh -c 'wc -l <left'
same "never more than three" 3 "$(sort -n counts | tail -1 | tr -d ' ')"
becomes "three permits are there" 3 stat_of pool len

tap_end
