# tests/support/tap.sh - test steps in shell, told in TAP. To be sourced.
#
#   same NAME EXPECTED ACTUAL     two strings are the same
#   exits CODE NAME COMMAND...    the command ends with that exit code; $out and $err name the files
#                                 with what it printed
#   check NAME COMMAND...         the command succeeds
#   says NAME PATTERN             stderr of the last of these has a line like that
#   prints NAME PATTERN           stdout has
#   becomes NAME EXPECTED COMMAND...   what the command prints becomes that, within ten seconds
#   tap_end                       the plan; the last line of every script

tap_count=0
tap_failed=0
tap_dir=$(mktemp -d "${TMPDIR:-/tmp}/chand-test.XXXXXX")
out=$tap_dir/out
err=$tap_dir/err
tap_cleanup='rm -rf "$tap_dir"'
tap_before_end=
trap 'eval "$tap_cleanup"' EXIT
trap 'exit 1' HUP INT QUIT TERM

# tap_result STATUS NAME: one step, which passed if STATUS is 0.
tap_result() {
	tap_count=$((tap_count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tap_count - $2"
	else
		tap_failed=$((tap_failed + 1))
		echo "not ok $tap_count - $2"
	fi
}

# Comments of TAP out of stdin, cut to what a person reads.
tap_note() {
	head -c 2000 | tr '\0' '?' | sed 's/^/#   /'
}

same() {
	[ "$2" = "$3" ]
	tap_result $? "$1"
	[ "$2" = "$3" ] || printf 'expected: %s\nfound:    %s\n' "$2" "$3" | tap_note
}

exits() {
	tap_code=$1
	tap_name=$2
	shift 2
	"$@" >"$out" 2>"$err" && tap_status=0 || tap_status=$?
	[ $tap_status -eq "$tap_code" ]
	tap_result $? "$tap_name"
	[ $tap_status -eq "$tap_code" ] || {
		echo "exit code $tap_status, expected $tap_code: $*"
		cat "$out" "$err"
	} | tap_note
}

check() {
	exits 0 "$@"
}

tap_has() {
	grep -q -e "$3" "$2"
	tap_has_status=$?
	tap_result $tap_has_status "$1"
	[ $tap_has_status -eq 0 ] || tap_note <"$2"
}

says() {
	tap_has "$1" "$err" "$2"
}

prints() {
	tap_has "$1" "$out" "$2"
}

becomes() {
	tap_name=$1
	tap_expected=$2
	shift 2
	tap_tries=0
	until tap_found=$("$@" 2>/dev/null) && [ "$tap_found" = "$tap_expected" ]; do
		tap_tries=$((tap_tries + 1))
		[ $tap_tries -lt 3000 ] || break
		sleep 0.02
	done
	same "$tap_name" "$tap_expected" "$tap_found"
}

tap_end() {
	eval "$tap_before_end"
	echo "1..$tap_count"
	exit $((tap_failed > 0))
}
