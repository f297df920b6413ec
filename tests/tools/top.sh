#!/bin/sh
# Prints the longest functions of the files given, and the usual length. A function begins at a
# line `{` and ends at a line `}`, as .clang-format writes them.
awk '
FNR == 1 { start = 0 }
{ sub(/^__attribute__\(\([^)]*\)\) /, "") }
/^[A-Za-z_].*\(/ && !/;$/ { head = $0; head_line = FNR }
/^\{/ { start = head_line }
/^\}/ && start {
	name = head
	sub(/\(.*/, "", name)
	sub(/.*[ *]/, "", name)
	printf "%5d %s %s:%d\n", FNR - start + 1, name, FILENAME, start
	start = 0
}' "$@" | sort -rn | awk '
NR <= 15 { print }
{ lines[NR] = $1 }
END {
	printf "%d functions: median %d, nine in ten up to %d lines\n", NR,
		lines[int((NR + 1) / 2)], lines[int(NR / 10) + 1]
}'
