#!/bin/sh
# The contract's exit codes, one by one.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
daemon_start

# A daemon that hangs: it takes ten seconds to find out (below).
chand --listen "unix:$tap_dir/hangs.sock" 2>"$tap_dir/hangs.log" &
hanging=$!
chanctl --url "unix:$tap_dir/hangs.sock" ping --timeout 20s >/dev/null
kill -STOP $hanging
chanctl --url "unix:$tap_dir/hangs.sock" recv c --timeout 20s 2>"$tap_dir/hangs.err" &
unanswered=$!

# 0
exits 0 "make" chanctl make c --type int --cap 2
exits 0 "make again with the same attributes" chanctl make c --type int --cap 2
exits 0 "send" chanctl send c 1 2
exits 0 "recv" chanctl recv c
same "the value was printed" 1 "$(cat "$out")"
exits 0 "close" chanctl close c
exits 0 "range over what is left of a closed channel" chanctl range c
same "what was left" 2 "$(cat "$out")"
exits 0 "ls" chanctl ls
exits 0 "stat" chanctl stat c
exits 0 "ps" chanctl ps
exits 0 "ping" chanctl ping
exits 0 "help" chanctl --help
exits 0 "help of a command" chanctl send --help
exits 0 "version" chanctl --version

# 1
exits 1 "recv: closed and drained" chanctl recv c
same "nothing on stdout" "" "$(cat "$out")"
exits 1 "select: closed and drained" chanctl select recv:c
exits 0 "range of a drained channel" chanctl range c

# 2
chanctl make empty --type int
exits 2 "recv --try: nothing there" chanctl recv empty --try
exits 2 "send --try: nobody receives" chanctl send empty 1 --try
exits 2 "select --try: nothing ready" chanctl select recv:empty send:empty=1 --try

# 3
exits 3 "send on a closed channel" chanctl send c 3
says "it says that it is closed" closed
says "and by whom" 'chanctl\[[0-9]*\]@'
exits 3 "close of a closed channel" chanctl close c

# 5
chanctl recv empty >"$tap_dir/recv.out" 2>"$tap_dir/recv.err" &
receiver=$!
waiting empty receivers 1
exits 0 "rm" chanctl rm empty
exits 5 "recv: removed meanwhile" wait $receiver

# 64
exits 64 "no command" chanctl
exits 64 "unknown command" chanctl frobnicate
says "which it names" frobnicate
exits 64 "unknown option" chanctl recv c --frobnicate
exits 64 "a negative number as an option" chanctl send c -5
says "where it is to stand" 'comes after --'
exits 64 "and one with a point" chanctl send c -.5
says "where it is to stand" 'comes after --'
exits 64 "missing operand" chanctl recv
exits 64 "operand too many" chanctl recv c d
exits 64 "send without a value" chanctl send c
exits 64 "a duration without a unit" chanctl recv c --timeout 5
exits 64 "a name that is not allowed" chanctl make 'no spaces' --type int
exits 64 "an empty name" chanctl make '' --type int
for command in recv range close stat rm; do
	exits 64 "$command of what is no name" chanctl $command 'no spaces'
done
exits 64 "a name too long" chanctl make "$(printf '%0256d' 0)" --type int
exits 0 "the longest name" chanctl make "$(printf '%0255d' 0)" --type int
exits 64 "a negative capacity" chanctl make d --type int --cap -1
exits 64 "a capacity too large" chanctl make d --type int --cap 999999999999
exits 64 "a capacity that is no number" chanctl make d --type int --cap many
exits 64 "an unknown type" chanctl make d --type integer
exits 64 "no case" chanctl select
exits 64 "a malformed case" chanctl select recv
exits 64 "a send case without a value" chanctl select send:c
exits 64 "a malformed URL" chanctl --url gopher://here ping

# 65
chanctl make ints --type int --cap 10
exits 65 "a value that is no int" chanctl send ints one
says "it names the type" int
exits 65 "an int too large" chanctl send ints 9223372036854775808
chanctl make strings --type string --cap 10
exits 65 "a string that is not UTF-8" chanctl send strings "$(printf '\377')"
head -c 2000000 /dev/zero >"$tap_dir/large"
chanctl make blobs --type bytes --cap 10
exits 65 "a value too large" sh -c 'chanctl send blobs - <"$1"' - "$tap_dir/large"
same "nothing was sent" 0 "$(stat_of blobs len)"

# 66
exits 66 "recv: no such channel" chanctl recv nowhere
says "how to wait for one" 'chanctl: --create, --wait-create'
exits 66 "send: no such channel" chanctl send nowhere 1
exits 66 "stat: no such channel" chanctl stat nowhere
exits 66 "rm: no such channel" chanctl rm nowhere
exits 66 "close: no such channel" chanctl close nowhere
exits 66 "make with another type" chanctl make ints --type string --cap 10
says "it shows the difference" int
exits 66 "make with another capacity" chanctl make ints --type int --cap 11

# 69
exits 69 "nobody listens" chanctl --url "unix:$tap_dir/nobody.sock" ping
exits 69 "nobody listens, on TCP" chanctl --url tcp://127.0.0.1:1 ping

exits 69 "somebody listens, and does not answer" wait $unanswered
kill -KILL $hanging
wait $hanging 2>/dev/null

# 74
exits 74 "stdout is full" sh -c 'chanctl send ints 1 && chanctl recv ints >/dev/full'
exits 74 "stdin cannot be read" sh -c 'chanctl send ints --lines <&-'

# 124
chanctl make quiet --type int
exits 124 "recv: timed out" chanctl recv quiet --timeout 50ms
exits 124 "send: timed out" chanctl send quiet 1 --timeout 50ms
exits 124 "select: timed out" chanctl select recv:quiet --timeout 50ms
exits 124 "range: timed out" chanctl range quiet --timeout 50ms
exits 124 "a timeout of nothing" chanctl recv quiet --timeout 0s
same "timed-out operations left nothing" 0 "$(stat_of quiet senders_waiting)"

# The broker goes while somebody waits.
chanctl recv quiet >"$tap_dir/recv.out" 2>"$tap_dir/recv.err" &
receiver=$!
waiting quiet receivers 1
exits 0 "the daemon ends in order" daemon_stop
exits 69 "who waited is told that it shuts down" wait $receiver
daemon_start
chanctl make quiet --type int
chanctl send quiet 1 2>"$tap_dir/send.err" &
sender=$!
waiting quiet senders 1
kill -KILL "$daemon_pid"
exits 6 "6: the connection is lost, and nobody knows" wait $sender
wait "$daemon_pid" 2>"$err"
daemon_pid=

# Who would come back finds another daemon.
daemon_start
chanctl make quiet --type int
chanctl --reconnect 60s send quiet 1 2>"$tap_dir/send.err" &
sender=$!
waiting quiet senders 1
kill -KILL "$daemon_pid"
wait "$daemon_pid" 2>"$err"
daemon_start
exits 6 "6: the daemon was restarted, and nobody knows" wait $sender
exits 0 "it says so" grep -q "could not be resumed" "$tap_dir/send.err"

tap_end
