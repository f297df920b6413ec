# Tests against a real daemon.
#
#   integration_tests += tests/integration/test_handoff
#   tests_integration_test_handoff_SOURCES = tests/integration/test_handoff.c $(support_sources)
#   tests_integration_test_handoff_LDADD = proto/libproto.la $(CMOCKA_LIBS)
#
# The daemon is $top_builddir/chand.

integration_tests =
check_PROGRAMS += $(integration_tests)
TESTS += $(integration_tests)
