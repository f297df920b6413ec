#!/bin/sh
# chanctl worker: a command for every value, and what becomes of the value however the command, the
# worker or the lease ends.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
daemon_start
cd "$tap_dir" || exit 1

# What commands write down, and what they wait for.
mkfifo gate

# fresh NAME VALUE...: a channel with these values
fresh() {
	chanctl rm "$1" 2>/dev/null
	chanctl make "$1" --type string --cap 100
	name=$1
	shift
	chanctl send "$name" -- "$@"
}

# run_worker ARGUMENT...: a worker in the background; its stderr is in worker.err
run_worker() {
	chanctl worker "$@" >worker.out 2>worker.err &
	worker=$!
}

# gone PID: prints "gone" once that process has ended
gone() {
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
	case $state in '' | Z | X) echo gone ;; esac
}

# ---- how the value gets to the command --------------------------------------------------------
fresh args one 'two words' '{}' '' '-n'
chanctl close args
check "{} in arguments, and inside them" chanctl worker args -- printf '<%s|x{}y{}>\n' {}
same "each value as it is, once" "<one|xoneyone>
<two words|xtwo wordsytwo words>
<{}|x{}y{}>
<|xy>
<-n|x-ny-n>" "$(cat "$out")"

chanctl make raw --type bytes --cap 10
printf 'a\0b\nc' | chanctl send raw -
printf '' | chanctl send raw -
chanctl close raw
check "the value on stdin where no {} is" chanctl worker raw -- od -An -c
same "its bytes, and nothing added" "   a  \0   b  \n   c" "$(cat "$out")"

fresh facts v
chanctl close facts
check "facts in the environment" chanctl worker facts -- \
	sh -c 'echo "$CHAN_CHANNEL $CHAN_VALUE_TYPE $CHAN_ATTEMPT $CHAN_URL"; [ "$CHAN_FENCE" -gt 0 ] && [ "$CHAN_DELIVERY" -gt 0 ]'
same "of the value" "facts string 1 $CHAN_URL" "$(cat "$out")"

chanctl make numbers --type int --cap 10
chanctl send numbers 3 -- -4
chanctl close numbers
check "values of other types as text" chanctl worker numbers -- echo {}
same "which is the usual one" "3 -4 " "$(tr '\n' ' ' <"$out")"

fresh quiet x
chanctl close quiet
check "with {} stdin is empty" sh -c 'echo mine | chanctl worker quiet -- sh -c "cat; echo {}"'
same "the worker's own is not read" x "$(cat "$out")"

fresh dashes x
chanctl close dashes
check "-- and options of the command are its own" chanctl worker dashes -j2 -- echo -- -j {} --json
same "none is taken" "-- -j x --json" "$(cat "$out")"

check "a worker on a closed and drained channel ends" chanctl worker dashes -- false

# ---- commands that cannot be run --------------------------------------------------------------
fresh given v
exits 127 "no such command" chanctl worker given -- ./no-such-command {}
says "it says so" 'no-such-command: No such file'
same "the value is back" 1 "$(stat_of given len)"
: >not-executable
exits 126 "a command that cannot be run" chanctl worker given -- ./not-executable {}
same "the value is back, as a further attempt" "v 3" "$(chanctl recv given --format '%v %a')"

exits 64 "no command" chanctl worker given
exits 64 "a command that does not stand behind --" chanctl worker given echo {}
says "it says where it stands" 'behind'
exits 64 "nothing behind --" chanctl worker given --
exits 64 "-j 0" chanctl worker given -j 0 -- true
exits 64 "a lease that is too short" chanctl worker given --lease 1ms -- true
exits 66 "no such channel" chanctl worker nowhere -- true

# ---- values that no argument can be -----------------------------------------------------------
zero() { printf 'a\0b' | chanctl send "$1" -; }
chanctl make unfit --type bytes --cap 10
zero unfit
exits 65 "a value with a zero byte" chanctl worker unfit -- echo {}
says "it says what is wrong" 'zero byte'
same "the value is back" 1 "$(stat_of unfit len)"
chanctl make buried --type any --cap 10
chanctl close unfit
check "with --dead it goes there" chanctl worker unfit --dead buried --retry 9 -- echo {}
same "at once" 1 "$(stat_of buried len)"
chanctl make huge --type bytes --cap 10
head -c 300000 /dev/zero | tr '\0' x | chanctl send huge -
exits 65 "a value that is too long for an argument" chanctl worker huge -- echo {}
chanctl close huge
check "is none too long for stdin" chanctl worker huge -- wc -c
same "all of it" 300000 "$(cat "$out")"

# ---- failures, attempts and where they end ----------------------------------------------------
fresh tries good bad
chanctl make dead --type string --cap 10
chanctl close tries
check "--retry and --dead" chanctl worker tries --retry 3 --dead dead --backoff 1ms -- \
	sh -c 'echo {} $CHAN_ATTEMPT; [ {} = good ]'
same "so many attempts in all" "bad 1
bad 2
bad 3
good 1" "$(sort "$out")"
same "then it is in the dead channel, alone" "bad 1" "$(chanctl recv dead) $(stat_of dead received)"

fresh tries bad
chanctl close tries
check "--dead alone" chanctl worker tries --dead dead -- false
same "is one attempt" "1 1" "$(stat_of dead len) $(stat_of tries redelivered | sed 's/0/1/')"
chanctl recv dead >/dev/null

fresh tries bad good
chanctl close tries
check "--retry without --dead ends with 0, too" chanctl worker tries --retry 2 --backoff 0 -- \
	sh -c '[ {} = good ]'
says "and says what was dropped" "'bad' is dropped"
says "and how many" "1 values were dropped"

fresh tries bad
run_worker tries --backoff 1ms -- sh -c 'echo $CHAN_ATTEMPT >>attempts; [ $CHAN_ATTEMPT -ge 5 ]'
becomes "without --retry it is tried until it succeeds" "1 2 3 4 5 " sh -c 'tr "\n" " " <attempts'
becomes "and is gone then" 0 stat_of tries leased
kill $worker
exits 143 "SIGTERM while it waits for values" wait $worker

fresh tries slow next
run_worker tries --backoff 1h -- sh -c 'echo {} >>order; [ {} != slow ]'
becomes "what failed rests, and others go before it" "slow next " sh -c 'tr "\n" " " <order'
kill $worker
wait $worker

exits 66 "a dead channel that is not there" chanctl worker tries --dead nowhere -- true
exits 65 "a dead channel of another type" chanctl worker tries --dead numbers -- true
says "it names both" 'values of string do not fit --dead numbers, a channel of int'

# A dead channel that is full holds its value up, but not SIGTERM.
fresh tries bad
chanctl make full --type string
run_worker tries --dead full -- false
waiting full senders 1
kill $worker
exits 143 "SIGTERM while the dead channel is full" wait $worker
same "the value is back" 1 "$(stat_of tries len)"

# ---- time -------------------------------------------------------------------------------------
fresh late v
chanctl close late
check "--timeout" chanctl worker late --retry 1 --timeout 100ms -- sleep 1000
says "it says why" 'ended with 143, having run longer than --timeout'

fresh late v
chanctl close late
check "a command that ignores SIGTERM is killed" chanctl worker late --retry 1 --timeout 3s --grace 100ms -- \
	sh -c 'trap "" TERM; echo $$ >leader; sleep 1000 & echo $! >other; wait; wait; wait'
says "by SIGKILL" 'ended with 137'
becomes "and what it had started" gone gone "$(cat other)"

# ---- many at once -----------------------------------------------------------------------------
fresh many 1 2 3 4 5 6 7 8
chanctl close many
chanctl make here --type int
chanctl make go --type signal
run_worker many -j4 -- sh -c 'chanctl send here {} && chanctl recv go'
check "-j4: four are there before any has ended" chanctl recv here -n 4
exits 124 "a fifth is not" chanctl recv here --timeout 200ms
check "they go on" chanctl send go
check "and there is the fifth" chanctl recv here
for i in 2 3 4 5; do chanctl send go; done
chanctl recv here -n 3 >/dev/null
for i in 6 7 8; do chanctl send go; done
exits 0 "all done" wait $worker

# ---- ending the worker ------------------------------------------------------------------------
fresh stop first second
run_worker stop -- sh -c 'echo started >>stop.log; read line <gate; echo done >>stop.log'
becomes "a command runs" started cat stop.log
kill $worker
kill -s WINCH $worker
check "SIGTERM: the command may go on" sh -c 'echo >gate'
exits 143 "the worker leaves with 143" wait $worker
same "the command was not disturbed" "started done " "$(tr '\n' ' ' <stop.log)"
same "its value is gone, and no other was taken" "second 1" "$(chanctl recv stop --format '%v %a')"

fresh stop v
rm stop.log
run_worker stop -- sh -c 'trap "echo told; exit 9" TERM; echo started >stop.log; sleep 1000 & wait'
becomes "a command runs" started cat stop.log
kill $worker
becomes "SIGTERM: it says that it waits" 1 grep -c 'waits for what runs (1); a second signal' worker.err
kill -s INT $worker
exits 143 "a second signal ends the command" wait $worker
check "which is told" grep -q told worker.out
same "and the value goes back" "v 2" "$(chanctl recv stop --format '%v %a')"

# Whatever happens to the worker, its commands and all that they have started are ended.
fresh killed v
run_worker killed -- sh -c 'echo $$ >leader.pid; sleep 1000 & echo $! >other.pid; wait'
becomes "a command and its child run" yes sh -c '[ -s other.pid ] && echo yes'
kill -s KILL $worker
wait $worker 2>/dev/null
becomes "kill -9 of the worker: the command is ended" gone gone "$(cat leader.pid)"
becomes "and its child" gone gone "$(cat other.pid)"
same "the value comes back, marked" "v 2" "$(chanctl recv killed --timeout 10s --format '%v %a')"

fresh unguarded v
rm -f leader.pid
run_worker unguarded -- sh -c 'echo $$ >leader.pid; sleep 1000 & wait'
becomes "a command runs" yes sh -c '[ -s leader.pid ] && echo yes'
kill -s KILL "$(pgrep -P $worker chan-guard)"
exits 125 "a worker whose guard is killed ends" wait $worker
becomes "and its command" gone gone "$(cat leader.pid)"
same "the value goes back" "v 2" "$(chanctl recv unguarded --format '%v %a')"

# ---- the lease --------------------------------------------------------------------------------
fresh lease v
run_worker lease --lease 8s -- sh -c 'echo started >lease.log; read line <gate'
becomes "a command runs" started cat lease.log
exits 124 "its lease is extended" chanctl recv lease --timeout 11s
echo >gate
becomes "it is acknowledged" 0 stat_of lease leased
kill $worker
exits 143 "and nothing went wrong" wait $worker
same "nor was anything said" "" "$(cat worker.err)"

# A worker that is stopped cannot extend: the command is ended before another gets its value.
fresh lease v
rm -f leader.pid
run_worker lease --lease 3s -- sh -c 'trap "" TERM; echo $$ >leader.pid; while :; do sleep 1000; done'
becomes "a command runs" yes sh -c '[ -s leader.pid ] && echo yes'
kill -s STOP $worker
leader=$(cat leader.pid)
check "another worker gets the value" sh -c \
	'chanctl worker lease --timeout 30s -- sh -c "echo {} \$CHAN_ATTEMPT; kill -0 $leader 2>&1; kill \$PPID"; [ $? -eq 143 ]'
prints "marked" 'v 2'
same "when the first command has ended" gone "$(gone "$leader")"
kill -s CONT $worker
kill $worker
exits 143 "the one that was stopped goes on and leaves" wait $worker
check "and says what happened" grep -q 'lost its lease\|the lease was over' worker.err

# The channel is removed: what runs has nothing to run for.
fresh removed v
rm -f leader.pid
run_worker removed --lease 600ms -- sh -c 'echo $$ >leader.pid; sleep 1000'
becomes "a command runs" yes sh -c '[ -s leader.pid ] && echo yes'
chanctl rm removed
becomes "its command is ended with the channel" gone gone "$(cat leader.pid)"
wait $worker && code=0 || code=$?
same "and so is the worker" 66 "$code"

# ---- the broker -------------------------------------------------------------------------------
fresh lost v
rm -f leader.pid
run_worker lost -- sh -c 'echo $$ >leader.pid; sleep 1000'
becomes "a command runs" yes sh -c '[ -s leader.pid ] && echo yes'
exits 0 "the daemon ends" daemon_stop
wait $worker && code=0 || code=$?
same "the worker ends, too" 69 "$code"
becomes "with its command" gone gone "$(cat leader.pid)"
exits 69 "no broker" chanctl worker lost -- true

tap_end
