# Tests of chanctl against a real daemon: scripts that print TAP, run by sh.
#
#   shell_tests += tests/shell/framing.sh
#
# They find $top_srcdir and $top_builddir (absolute) in their environment. Exit status 0, and a
# failed step is a `not ok` line.

shell_tests =
EXTRA_DIST += $(shell_tests)
TESTS += $(shell_tests)
