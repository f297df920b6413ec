#!/bin/sh
# coverage.sh BUILD_DIR: which share of the lines of each of our files the suite ran, worst first.
cd "$1" || exit 1
find server client proto -name '*.gcda' | xargs gcov -n -r -s "$(pwd)/src" 2>/dev/null | awk -F "'" '
/^File / { file = $2 }
/^Lines executed/ && file ~ /\.c$/ && file !~ /pb-c/ {
	share = $0
	sub(/.*executed:/, "", share)
	print share "\t" file
	file = ""
}' | sort -n
