# Tests of chanctl against a real daemon: scripts that print TAP, run by sh.
#
#   shell_tests += tests/shell/framing.sh
#
# They find $top_srcdir and $top_builddir (absolute) in their environment. Exit status 0, and a
# failed step is a `not ok` line.

shell_tests = \
	tests/shell/access.sh \
	tests/shell/attributes.sh \
	tests/shell/bench.sh \
	tests/shell/create.sh \
	tests/shell/descriptors.sh \
	tests/shell/exit_codes.sh \
	tests/shell/framing.sh \
	tests/shell/json.sh \
	tests/shell/lessons.sh \
	tests/shell/lock.sh \
	tests/shell/look.sh \
	tests/shell/progress.sh \
	tests/shell/readme.sh \
	tests/shell/select.sh \
	tests/shell/signals.sh \
	tests/shell/stdout.sh \
	tests/shell/stream.sh \
	tests/shell/tls.sh \
	tests/shell/top.sh \
	tests/shell/values.sh \
	tests/shell/worker.sh
EXTRA_DIST += $(shell_tests) tests/support/tap.sh tests/support/daemon.sh
TESTS += $(shell_tests)
