#!/bin/sh
# Runs one test of the suite: run-test.sh PROGRAM [ARGUMENT...]
#
# Every test passes through here, so that each has a time limit and the same surroundings.
#   TEST_TIMEOUT   seconds until the test is ended: programs by SIGQUIT, at which goroutines are
#                  dumped, scripts and the daemons they started by SIGTERM
#   TEST_WRAPPER   what to run programs under, for example valgrind; scripts see it in their
#                  environment and run by themselves what they want run under it
# Scripts tell by their first line what runs them; programs print TAP by cmocka.
: "${TEST_TIMEOUT:=120}"
CMOCKA_MESSAGE_OUTPUT=TAP
export CMOCKA_MESSAGE_OUTPUT TEST_TIMEOUT TEST_WRAPPER

program=$1
shift
signal=TERM
case $program in
*.sh) set -- sh "$program" "$@" ;;
*.py) set -- "${PYTHON:-python3}" "$program" "$@" ;;
*)
	set -- ${TEST_WRAPPER:-} "$program" "$@"
	signal=QUIT
	;;
esac
exec timeout --signal=$signal --kill-after=5 "$TEST_TIMEOUT" "$@"
