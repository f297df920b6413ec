#!/bin/sh
# Values as text, for all eight types.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
daemon_start

# goes_through TYPE TEXT [AS_TEXT]: the text is taken and comes out as AS_TEXT, or the same
goes_through() {
	chanctl send "$1" -- "$2" 2>"$err"
	same "$1 '$2'" "${3-$2}" "$(chanctl recv "$1" --try 2>&1)"
}

refuses() {
	exits 65 "$1 refuses '$2'" chanctl send "$1" -- "$2"
}

for type in int float bool string bytes any signal chan; do
	chanctl make $type --type $type --cap 10
done

goes_through int 0
goes_through int -42
goes_through int +7 7
goes_through int 9223372036854775807
goes_through int -9223372036854775808
refuses int 1.5
refuses int ''
refuses int ' 1'
refuses int 0x10

goes_through float 0.1
goes_through float 3
goes_through float 1e3 1000
goes_through float 0.30000000000000004
goes_through float 1e+300
goes_through float 5e-324
goes_through float -0
goes_through float inf
goes_through float -inf
goes_through float NaN nan
refuses float one
refuses float 1e999

goes_through bool true
goes_through bool false
refuses bool 1
refuses bool yes

goes_through string ''
goes_through string 'grün, 日本'
goes_through string '{"json": true}'
refuses string "$(printf '\303(')"

goes_through bytes 'plain'
goes_through bytes ''

goes_through signal ''
check "a signal needs no value" chanctl send signal
same "and is an empty line" "x" "$(chanctl recv signal)x"
refuses signal x

goes_through chan int
exits 66 "chan refuses a channel that is not there" chanctl send chan nowhere
same "the channels went through as values, and live" 0 "$(stat_of int len)"

goes_through any 'a string'
check "any, --as int" chanctl send any --as int 42
same "carries its type" "int 42" "$(chanctl recv any --format '%t %v')"
check "any, --as signal" chanctl send any --as signal ''
same "carries its type" "signal" "$(chanctl recv any --format '%t')"
exits 65 "any, --as int, of what is none" chanctl send any --as int x
exits 64 "any cannot carry any" chanctl send any --as any x

tap_end
