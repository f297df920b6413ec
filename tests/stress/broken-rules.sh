#!/bin/sh
# broken-rules.sh BUILD: breaks one rule of the broker at a time in that build, whose daemon asks the
# environment which, and passes if the stress test and the soak notice each.
# broken-rules.sh BUILD RULE TEST: only that rule and that test; its output is in BUILD/broken-RULE-TEST.log.
# Both tests end with the first history that breaks a rule; these are what they may take otherwise. That is
# chance: resume_loses_frame took the soak four rounds and more, and five were sometimes too few.
: "${STRESS_SECONDS:=180}"
: "${SOAK_SECONDS:=420}"
: "${SOAK_ROUND_SECONDS:=14}"
# How many run side by side: most of their time is patience.
: "${BROKEN_LANES:=6}"
export STRESS_SECONDS SOAK_SECONDS SOAK_ROUND_SECONDS

rules() { sed -n 's/^\tBROKEN_\([a-z_]*\),.*/\1/p' "$1/src/server/broker/broken.h"; }

# What is to be tried, a line each.
trials() {
	for rule in $(rules "$1" | grep -v '^none$'); do
		case $rule in
		absent*|resume*) ;; # the agents of the stress test do not resume
		*) echo "$rule stress" ;;
		esac
		echo "$rule soak"
	done
}

# Runs a test of the broken daemon, which must find a history that breaks a rule.
expect_noticed() {
	rule=$1 test=$2 log=broken-$1-$2.log
	if "tests/$test/$test" >"$log" 2>&1; then
		echo "not ok - $rule was broken, and $test has not noticed"
	elif grep -q '^# broken: ' "$log"; then
		echo "ok - $rule: noticed by $test as $(sed -n 's/^# broken: //p' "$log" | head -1)"
	else
		echo "not ok - $rule was broken, and $test failed otherwise:
$(sed 's/^/# /' "$log")"
	fi
}

if [ $# = 3 ]; then
	CHAND_BROKEN_RULE=$(($(rules "$1" | grep -nx "$2" | cut -d: -f1) - 1))
	export CHAND_BROKEN_RULE
	cd "$1" || exit 1
	expect_noticed "$2" "$3"
	exit
fi
trials "$1" | xargs -L 1 -P "$BROKEN_LANES" sh "$0" "$1" | awk '
	/^not ok - / { failed = 1 }
	/^(not )?ok - / { sub(/ok -/, "ok " ++count " -") }
	{ print; fflush() }
	END { print "1.." count; exit failed || count < 10 }'
