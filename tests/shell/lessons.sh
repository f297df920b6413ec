#!/bin/sh
# The lessons of the tutorial on goroutines and channels, with shells for goroutines.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
daemon_start

# Two goroutines say something; main waits for both over a channel.
chanctl make done --type signal
say() {
	for i in 1 2 3 4 5; do echo "$1"; done >"$tap_dir/$1"
	chanctl send done
}
say hello &
say world &
check "both say they are done" chanctl recv done -n 2
same "hello five times" 5 "$(grep -c hello "$tap_dir/hello")"

# Two sums of halves through one channel: x, y := <-c, <-c
chanctl make sums --type int
sum() {
	total=0
	for n; do total=$((total + n)); done
	chanctl send sums -- $total
}
sum 7 2 8 &
sum -9 4 0 &
x=$(chanctl recv sums)
y=$(chanctl recv sums)
same "the sum of the halves" 12 $((x + y))

# A buffered channel takes as many as it holds without a receiver.
chanctl make two --type int --cap 2
check "ch <- 1; ch <- 2" chanctl send two 1 2
same "<-ch, <-ch" "1 2 " "$(chanctl recv two -n 2 | tr '\n' ' ')"
chanctl make one --type int --cap 1
check "a buffer of one takes one" chanctl send one 1
exits 124 "the second waits for ever" chanctl send one 2 --timeout 50ms
chanctl make none --type int
exits 124 "without a buffer the first does" chanctl send none 1 --timeout 50ms

# fibonacci(cap(c), c), close, range
chanctl make fib --type int --cap 10
fibonacci() {
	a=0 b=1 i=0
	while [ $i -lt "$1" ]; do
		echo $a
		next=$((a + b)) a=$b b=$next i=$((i + 1))
	done | chanctl send fib --lines --close
}
fibonacci "$(stat_of fib cap)" &
same "for i := range c" "0 1 1 2 3 5 8 13 21 34 " "$(chanctl range fib | tr '\n' ' ')"

# range without close never ends
chanctl make open --type int --cap 10
chanctl send open 1 2 3
exits 124 "range without close waits for more" chanctl range open --timeout 50ms
same "after what was there" "1 2 3 " "$(tr '\n' ' ' <"$out")"

# v, ok := <-ch
chanctl send open 4
chanctl close open
exits 0 "v, ok: a value" chanctl recv open
same "which is" 4 "$(cat "$out")"
exits 1 "v, ok: closed" chanctl recv open
chanctl make loop --type int --cap 3
chanctl send loop 1 2 3 --close
seen=
while v=$(chanctl recv loop); do seen="$seen$v "; done
same "while v=\$(recv) ends by itself" "1 2 3 " "$seen"

# send on closed, close of closed, close of nil
exits 3 "send on a closed channel" chanctl send open 5
exits 3 "close of a closed channel" chanctl close open
exits 66 "close of what is no channel" chanctl close nil

# An unbuffered send ends when a receiver has taken the value, and not before.
chanctl make sync --type string
chanctl send sync hello &
sender=$!
waiting sync senders 1
same "the receiver takes it" hello "$(chanctl recv sync)"
exits 0 "and the send is done" wait $sender

# select with quit: fibonacci until told to stop
chanctl make numbers --type int
chanctl make quit --type signal
(
	a=0 b=1
	while [ "$(chanctl select "send:numbers=$a" recv:quit)" = "send numbers" ]; do
		next=$((a + b)) a=$b b=$next
	done
	echo quit >"$tap_dir/quit"
) &
selects=$!
same "ten numbers" "0 1 1 2 3 5 8 13 21 34 " "$(chanctl recv numbers -n 10 | tr '\n' ' ')"
chanctl send quit
wait $selects
same "and then it quits" quit "$(cat "$tap_dir/quit")"

# select with default
chanctl make tick --type signal --cap 1
exits 2 "default: nothing is ready" chanctl select recv:tick --try
chanctl send tick
same "and now something is" "recv tick " "$(chanctl select recv:tick --try)"

# A daisy chain: each adds one and passes it on.
length=20
i=0
while [ $i -le $length ]; do
	chanctl make "daisy.$i" --type int
	i=$((i + 1))
done
i=0
while [ $i -lt $length ]; do
	(v=$(chanctl recv "daisy.$((i + 1))") && chanctl send "daisy.$i" $((v + 1))) &
	i=$((i + 1))
done
chanctl send "daisy.$length" 1 &
same "a daisy chain of $length" $((length + 1)) "$(chanctl recv daisy.0)"

# The concurrent prime sieve: a process a prime.
filter() {
	chanctl range "$1" | while read -r n; do
		[ $((n % $3)) -eq 0 ] || echo "$n"
	done | chanctl send "$2" --lines --close
}
chanctl make sieve.0 --type int
seq 2 31 | chanctl send sieve.0 --lines --close &
primes=
i=0
while prime=$(chanctl recv "sieve.$i"); do
	primes="$primes$prime "
	chanctl make "sieve.$((i + 1))" --type int
	filter "sieve.$i" "sieve.$((i + 1))" "$prime" &
	i=$((i + 1))
done
same "the prime sieve" "2 3 5 7 11 13 17 19 23 29 31 " "$primes"

# Worker pool: three workers share the jobs, each job is done once.
chanctl make jobs --type int --cap 5
chanctl make results --type int --cap 100
workers=
for worker in 1 2 3; do
	(chanctl range jobs | while read -r job; do echo $((job * job)); done |
		chanctl send results --lines) &
	workers="$workers $!"
done
seq 1 30 | chanctl send jobs --lines --close
wait $workers
chanctl close results
same "a worker pool" 9455 "$(chanctl range results | awk '{ sum += $1 } END { print sum }')"

# Request and reply: the channel to answer on is a value.
chanctl make requests --type chan --cap 1
chanctl make reply.1 --type string --cap 1
(answer_to=$(chanctl recv requests) && chanctl send "$answer_to" "hello, $answer_to") &
chanctl send requests reply.1
same "a reply channel" "hello, reply.1" "$(chanctl recv reply.1)"

tap_end
