#!/bin/sh
# broken-rules.sh BUILD: breaks one rule of the broker at a time in that build (which is then no
# good for anything else), and passes if the stress test notices each.
cd "$1" || exit 1
rules=$(sed -n 's/^\tBROKEN_\([a-z_]*\),.*/\1/p' src/server/broker/broken.h | grep -v '^none$')
: "${STRESS_SECONDS:=20}"
export STRESS_SECONDS

number=0
status=0
for rule in $rules; do
	number=$((number + 1))
	rm -f server/broker/*.o server/broker/*.a
	make chand CPPFLAGS="-DBROKEN_RULE=BROKEN_$rule" >broken.log 2>&1 ||
		{ cat broken.log; exit 1; }
	if tests/stress/stress >broken.log 2>&1; then
		echo "not ok $number - $rule was broken, and the judge has not noticed"
		status=1
	elif grep -q '^# broken: ' broken.log; then
		echo "ok $number - $rule: noticed as $(sed -n 's/^# broken: //p' broken.log | head -1)"
	else
		cat broken.log
		echo "not ok $number - $rule was broken, and the run failed otherwise"
		status=1
	fi
done
echo "1..$number"
test $number -ge 5 || status=1
exit $status
