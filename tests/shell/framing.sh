#!/bin/sh
# How values stand on stdin and stdout: lines, zero bytes, lengths, and all of it.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
daemon_start

chanctl make s --type string --cap 100
chanctl make b --type bytes --cap 100
chanctl make n --type int --cap 100

# The bytes that a command prints, so that newlines and zeros can be compared.
bytes_of() {
	"$@" | od -An -tx1 | tr -d ' \n'
}

# Arguments
check "several arguments" chanctl send s a 'b c' ''
same "come in order, one a line" "a|b c||" "$(chanctl recv s -n 3 | tr '\n' '|')"
check "an argument with a newline is one value" chanctl send s 'x
y'
same "and comes as it is" "780a79" "$(bytes_of chanctl recv s --raw)"
same "send NAME VALUE never touches stdin" untouched \
	"$(echo untouched | { chanctl send s value && cat; })"
chanctl recv s >/dev/null

# Options anywhere, and what is literal
check "options after the operands" chanctl send s v --timeout 1s
check "options between them" chanctl recv --timeout 1s s -n 1
check "a value that begins with -" chanctl send s -- -v
same "arrives" "-v" "$(chanctl recv s)"
check "- after -- is a value" sh -c 'echo no | chanctl send s -- -'
same "and not stdin" "-" "$(chanctl recv s)"
check "also behind another value" sh -c 'echo no | chanctl send s one -- - --lines'
same "all literal" "one|-|--lines|" "$(chanctl recv s -n 3 | tr '\n' '|')"

# All of stdin
check "- is all of stdin" sh -c 'printf "a\nb\n" | chanctl send s -'
same "with its newlines" "610a620a" "$(bytes_of chanctl recv s --raw)"
check "empty stdin is an empty value" sh -c 'chanctl send s - </dev/null'
same "which is a line" "0a" "$(bytes_of chanctl recv s)"
check "a number's newline is left away" sh -c 'echo 42 | chanctl send n -'
same "42" 42 "$(chanctl recv n)"
check "bytes of every kind" sh -c 'printf "\377\000\n" | chanctl send b -'
same "come as they are" "ff000a" "$(bytes_of chanctl recv b --raw)"
exits 64 "- stands alone" chanctl send s - other

# Lines
check "--lines" sh -c 'printf "one\ntwo\n\nlast" | chanctl send s --lines'
same "the last needs no newline" "one|two||last|" "$(chanctl recv s -n 4 | tr '\n' '|')"
check "no lines at all" sh -c 'chanctl send s --lines </dev/null'
same "are no values" 0 "$(stat_of s len)"
exits 64 "--lines and arguments" chanctl send s --lines value

# Zero bytes
check "-0" sh -c 'printf "a\nb\000c\000" | chanctl send s -0'
same "recv -0" "610a6200" "$(bytes_of chanctl recv s -0)"
same "recv --null" "6300" "$(bytes_of chanctl recv s --null)"

# Lengths
check "--frame=len" sh -c 'printf "\000\000\000\002a\n\000\000\000\000" | chanctl send b --frame=len'
same "recv --frame=len" "00000002610a" "$(bytes_of chanctl recv b --frame=len)"
same "an empty one" "00000000" "$(bytes_of chanctl recv b --frame=len)"
exits 65 "stdin ends within a frame" sh -c 'printf "\000\000\000\011ab" | chanctl send b --frame=len'
same "of which nothing was sent" 0 "$(stat_of b len)"
exits 64 "only len is a frame" chanctl recv b --frame=crc
exits 64 "framings exclude each other" chanctl recv b --frame=len -0

# Formats
chanctl send n 1 2 3 4
same "--format" "n=1 (int) attempt 1" "$(chanctl recv n --format '%n=%v (%t) attempt %a')"
same "with --raw nothing is added" "32" "$(bytes_of chanctl recv n --format %v --raw)"
same "with -0 a zero byte" "333300" "$(bytes_of chanctl recv n --format '%v%v' -0)"
same "escapes" "09250a" "$(bytes_of chanctl recv n --format '\t%%')"
exits 64 "a format that is none" chanctl recv n --format '%d'

# What failed
exits 65 "a line that is no int" sh -c 'printf "1\n2\nx\n4\n" | chanctl send n --lines'
says "how many were confirmed" '2 values were confirmed'
says "and which was not" 'value 3'
same "two arrived" "1|2|" "$(chanctl recv n -n 2 | tr '\n' '|')"
same "and no more" 0 "$(stat_of n len)"
chanctl make small --type int --cap 3
exits 2 "--try stops at the first that would wait" sh -c 'seq 5 | chanctl send small --lines --try'
says "says how many went" '3 values were confirmed, value 4'
exits 124 "--timeout too" chanctl send small 4 5 --timeout 20ms
says "says how many went" '0 values were confirmed, value 1'
same "three are there" 3 "$(stat_of small len)"

exits 65 "after one" sh -c 'printf "1\nx\n" | chanctl send n --lines'
says "in good English" '1 value was confirmed, value 2'
check "it is there" chanctl recv n

# --close
check "--close" sh -c 'seq 3 | chanctl send n --lines --close'
same "range ends" "1|2|3|" "$(chanctl range n | tr '\n' '|')"
exits 3 "send on what --close closed" sh -c 'seq 3 | chanctl send n --lines'
says "the first was not confirmed" '0 values were confirmed, value 1'
exits 1 "recv -n ends where the channel does" chanctl recv n -n 5

tap_end
