#!/bin/sh
# Runs fuzzers for libFuzzer: run.sh BUILD SECONDS NAME...
#
# Begins each with the tree's inputs and those of earlier runs, which stay in BUILD/corpus/NAME.
# Prints TAP with what libFuzzer counted; the whole log is in BUILD/fuzz_NAME.log. An input that
# fails is kept as BUILD/NAME-crash-... (or -leak, -timeout, -oom): replay it by giving it to
# BUILD/tests/fuzz/fuzz_NAME as its argument, or to the one of a usual build.
#   FUZZ_SEED    of libFuzzer's choices; otherwise it takes one and prints it
#   FUZZ_LANES   so many run side by side
build=$1
seconds=$2
shift 2
here=$(dirname "$0")
export ASAN_OPTIONS="detect_stack_use_after_return=0:allocator_may_return_null=1"

# The last number that libFuzzer's log gives with a word.
counted() { grep -o "$1 *[0-9]*" "$2" | tail -n 1 | grep -o '[0-9]*$'; }

run() {
	name=$1
	log=$build/fuzz_$name.log
	dict=$here/dict/$name.dict
	mkdir -p "$build/corpus/$name"
	test -f "$dict" || dict=
	"$build/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -seed="${FUZZ_SEED:-0}" \
		-timeout=20 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
		-artifact_prefix="$build/$name-" ${dict:+-dict="$dict"} \
		"$build/corpus/$name" "$here/corpus/$name" >"$log" 2>&1
}

# Runs one and tells of it.
run_and_tell() {
	status=0
	result=ok
	run "$2" || { status=1 result='not ok'; }
	test $status = 0 || tail -n 40 "$log" | sed 's/^/# /'
	echo "$result $1 - $name: $(counted stat::number_of_executed_units: "$log") runs," \
		"$(counted cov: "$log") edges, $(counted ft: "$log") features," \
		"$(grep -o 'Seed: [0-9]*' "$log")"
	return $status
}

# For those that run: all take the same time.
await() {
	for pid in $running; do
		wait "$pid" || failures=$((failures + 1))
	done
	running=
}

echo "1..$#"
number=0 failures=0 running=
for name; do
	number=$((number + 1))
	run_and_tell $number "$name" &
	running="$running $!"
	[ $((number % ${FUZZ_LANES:-1})) != 0 ] || await
done
await
test "$failures" = 0
