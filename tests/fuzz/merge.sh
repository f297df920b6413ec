#!/bin/sh
# Adds to the tree's corpora what earlier runs of `make fuzz` reached beyond them, as few inputs as
# will do, small ones only: merge.sh BUILD NAME...
build=$1
shift
here=$(dirname "$0")
export ASAN_OPTIONS="detect_stack_use_after_return=0:allocator_may_return_null=1"

for name; do
	before=$(ls "$here/corpus/$name" | wc -l)
	"$build/tests/fuzz/fuzz_$name" -set_cover_merge=1 -use_counters=0 -max_len=2048 \
		"$here/corpus/$name" "$build/corpus/$name" >"$build/merge_$name.log" 2>&1 ||
		{ tail -n 20 "$build/merge_$name.log" && exit 1; }
	echo "$name: $(($(ls "$here/corpus/$name" | wc -l) - before)) added"
done
