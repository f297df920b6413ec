#!/bin/sh
# What `make install` puts where, and whether the README's C program builds against it and runs.
cd "$top_builddir" || exit 1
if [ -n "$TEST_SANITIZER" ]; then
	echo "1..0 # SKIP the installed library wants the sanitizer's runtime"
	exit 0
fi
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
unset MAKEFLAGS MFLAGS MAKELEVEL
number=0

# check WORDS COMMAND...
check() {
	words=$1
	shift
	number=$((number + 1))
	if "$@" >"$room/out" 2>&1; then
		echo "ok $number - $words"
	else
		sed 's/^/# /' "$room/out"
		echo "not ok $number - $words"
	fi
}

installed() {
	prefix=$room/stage/usr
	ls "$prefix/bin/chanctl" "$prefix/bin/chand" "$prefix/include/chan/chan.h" \
		"$prefix/include/chan/value.h" "$prefix/include/chan/status.h" \
		"$prefix/lib/pkgconfig/libchan.pc" "$prefix/share/man/man1/chanctl.1" \
		"$prefix/share/man/man8/chand.8" "$prefix/share/man/man5/chand.conf.5" \
		"$prefix/share/man/man3/libchan.3"
}

# Every place of configure's is filled in, and the command is what systemd takes: an absolute path.
unit() {
	unit=$room/stage/usr/lib/systemd/system/chand.service
	! grep -n '@[a-z]*@' "$unit" && grep -E '^ExecStart=/.*/bin/chand --config /.*/chand/chand\.conf$' "$unit"
}

# The library has what chan.h declares, and nothing else is visible.
only_ours() {
	nm -D --defined-only "$room"/stage/usr/lib/libchan.so | awk '{ print $3 }' >"$room/symbols"
	! grep -v '^chan_' "$room/symbols" && grep -q '^chan_send$' "$room/symbols"
}

# The README's program, linked against LIBRARIES, says what the README says.
program() {
	awk '/^```c$/ { on = 1; next } /^```/ { on = 0 } on' "$top_srcdir/README.md" >"$room/sum.c"
	$CC -o "$room/sum" "$room/sum.c" $(pkg-config --define-variable=prefix="$room/stage/usr" \
		--cflags --libs $1 "$room/stage/usr/lib/pkgconfig/libchan.pc") $2
}

sums() {
	CHAN_URL=unix:$room/chand.sock
	LD_LIBRARY_PATH=$room/stage/usr/lib
	export CHAN_URL LD_LIBRARY_PATH
	"$room/stage/usr/bin/chand" --listen "$CHAN_URL" 2>"$room/log" &
	daemon=$!
	tries=0
	until "$room/stage/usr/bin/chanctl" ping >/dev/null 2>&1; do
		tries=$((tries + 1))
		test $tries -lt 100 || break
		sleep 0.1
	done
	timeout 20 "$room/sum" >"$room/sum.out" &
	sum=$!
	seq 10 | timeout 20 "$room/stage/usr/bin/chanctl" send nums --wait-create --lines --close
	wait $sum
	kill $daemon
	wait $daemon
	cat "$room/sum.out"
	test "$(cat "$room/sum.out")" = 55
}

how=--libs
test -e client/.libs/libchan.so || how=--static
check 'make install' make install DESTDIR="$room/stage" prefix=/usr
check 'everything is in its place' installed
check 'the unit says where the daemon is' unit
check "the README's program builds" program "$how"
check "the README's program runs" sums
if [ -e "$room/stage/usr/lib/libchan.so" ]; then
	check 'the library shows chan_ symbols only' only_ours
	check 'it links statically too' program --static '-static -lpthread'
fi
echo "1..$number"
