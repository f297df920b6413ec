#!/bin/sh
# The shared library exports chan_* and nothing else, and every function that chan.h declares.
library=$top_builddir/client/.libs/libchan.so
if [ ! -e "$library" ]; then
	echo "1..0 # SKIP no shared library was built"
	exit 0
fi
echo 1..2

exported=$(nm -D --defined-only "$library" | awk '{ print $NF }' | sed 's/@.*//' |
	grep -vE '^(__asan|__tsan|__ubsan|__gcov|__sanitizer|_init$|_fini$|__bss_start$|_edata$|_end$)')
others=$(echo "$exported" | grep -v '^chan_')
if [ -z "$others" ]; then
	echo "ok 1 - only chan_* is exported"
else
	echo "not ok 1 - only chan_* is exported"
	echo "$others" | sed 's/^/# /'
fi

declared=$(grep -v '^static' "$top_srcdir/include/chan/chan.h" | grep -oE '\bchan_[a-z_]+\(' |
	tr -d '(' | sort -u)
missing=
for name in $declared; do
	# Constructors of values are inline, and chan_start_... stands for several in prose.
	grep -qE "^static inline .*\b$name\(" "$top_srcdir/include/chan/chan.h" && continue
	grep -qE "^[a-z].*\b$name\(" "$top_srcdir/include/chan/chan.h" || continue
	echo "$exported" | grep -qx "$name" || missing="$missing $name"
done
if [ -z "$missing" ]; then
	echo "ok 2 - everything that chan.h declares is exported"
else
	echo "not ok 2 - everything that chan.h declares is exported"
	echo "# missing:$missing"
fi
