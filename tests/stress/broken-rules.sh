#!/bin/sh
# broken-rules.sh BUILD: breaks one rule of the broker at a time in that build (which is then no
# good for anything else), and passes if the stress test and the soak notice each.
cd "$1" || exit 1
rules=$(sed -n 's/^\tBROKEN_\([a-z_]*\),.*/\1/p' src/server/broker/broken.h | grep -v '^none$')
: "${STRESS_SECONDS:=20}"
: "${SOAK_SECONDS:=14}"
export STRESS_SECONDS SOAK_SECONDS

number=0
status=0

# Runs a test of the broken daemon, which must find a history that breaks a rule.
expect_noticed() {
	number=$((number + 1))
	if "$1" >broken.log 2>&1; then
		echo "not ok $number - $rule was broken, and ${1##*/} has not noticed"
		status=1
	elif grep -q '^# broken: ' broken.log; then
		echo "ok $number - $rule: noticed by ${1##*/} as $(sed -n 's/^# broken: //p' broken.log | head -1)"
	else
		cat broken.log
		echo "not ok $number - $rule was broken, and ${1##*/} failed otherwise"
		status=1
	fi
}

# What knows of broken rules is built anew for each.
objects=$(cd src && grep -l 'BROKEN(' server/broker/*.c | sed 's/c$/o/')

for rule in $rules; do
	rm -f $objects
	make chand CPPFLAGS="-DBROKEN_RULE=BROKEN_$rule" >broken.log 2>&1 ||
		{ cat broken.log; exit 1; }
	case $rule in
	absent*|resume*) ;; # the agents of the stress test do not resume
	*) expect_noticed tests/stress/stress ;;
	esac
	expect_noticed tests/soak/soak
done
echo "1..$number"
test $number -ge 10 || status=1
exit $status
