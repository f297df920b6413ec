# Tests against a real daemon, in frames (tests/support/peer.h) or through libchan.
#
#   integration_tests += tests/integration/test_NAME
#   tests_integration_test_NAME_SOURCES = tests/integration/test_NAME.c $(support_sources)
#   tests_integration_test_NAME_LDADD = $(integration_libs)
#
# The daemon is $top_builddir/chand; CHAND_TEST_URL names one that runs already.

support_sources = \
	tests/support/daemon.c tests/support/daemon.h \
	tests/support/peer.c tests/support/peer.h
integration_libs = proto/libproto.la $(CMOCKA_LIBS)

integration_tests =

integration_tests += tests/integration/test_access
tests_integration_test_access_SOURCES = tests/integration/test_access.c $(support_sources)
tests_integration_test_access_LDADD = $(integration_libs)

integration_tests += tests/integration/test_handoff
tests_integration_test_handoff_SOURCES = tests/integration/test_handoff.c $(support_sources)
tests_integration_test_handoff_LDADD = $(integration_libs)

integration_tests += tests/integration/test_pieces
tests_integration_test_pieces_SOURCES = tests/integration/test_pieces.c $(support_sources)
tests_integration_test_pieces_LDADD = $(integration_libs)

integration_tests += tests/integration/test_input
tests_integration_test_input_SOURCES = tests/integration/test_input.c $(support_sources)
tests_integration_test_input_LDADD = $(integration_libs)

integration_tests += tests/integration/test_lifetime
tests_integration_test_lifetime_SOURCES = tests/integration/test_lifetime.c $(support_sources)
tests_integration_test_lifetime_LDADD = $(integration_libs)

integration_tests += tests/integration/test_resume
tests_integration_test_resume_SOURCES = tests/integration/test_resume.c $(support_sources)
tests_integration_test_resume_LDADD = $(integration_libs)

integration_tests += tests/integration/test_ride
tests_integration_test_ride_SOURCES = tests/integration/test_ride.c $(support_sources)
tests_integration_test_ride_LDADD = $(integration_libs)

integration_tests += tests/integration/test_daemon
tests_integration_test_daemon_SOURCES = tests/integration/test_daemon.c $(support_sources)
tests_integration_test_daemon_LDADD = $(integration_libs)

integration_tests += tests/integration/test_many
tests_integration_test_many_SOURCES = tests/integration/test_many.c $(support_sources)
tests_integration_test_many_LDADD = $(integration_libs)

integration_tests += tests/integration/test_fairness
tests_integration_test_fairness_SOURCES = tests/integration/test_fairness.c $(support_sources)
tests_integration_test_fairness_LDADD = client/libchan.la $(integration_libs) -lpthread

integration_tests += tests/integration/test_attack
tests_integration_test_attack_SOURCES = tests/integration/test_attack.c \
	tests/support/crowd.c tests/support/crowd.h $(support_sources)
tests_integration_test_attack_LDADD = $(integration_libs)

integration_tests += tests/integration/test_libchan
tests_integration_test_libchan_SOURCES = tests/integration/test_libchan.c $(support_sources)
tests_integration_test_libchan_LDADD = client/libchan.la $(integration_libs) -lpthread

integration_tests += tests/integration/test_tls
tests_integration_test_tls_SOURCES = tests/integration/test_tls.c $(support_sources)
tests_integration_test_tls_LDADD = client/libchan.la $(integration_libs) -lpthread

integration_tests += tests/integration/test_lease
tests_integration_test_lease_SOURCES = tests/integration/test_lease.c $(support_sources)
tests_integration_test_lease_LDADD = client/libchan.la $(integration_libs)

integration_tests += tests/integration/test_cuts
tests_integration_test_cuts_SOURCES = tests/integration/test_cuts.c $(support_sources) \
	tests/support/proxy.c tests/support/proxy.h tests/support/dice.h
tests_integration_test_cuts_LDADD = client/libchan.la $(integration_libs) -lpthread

integration_tests += tests/integration/test_rings
tests_integration_test_rings_SOURCES = tests/integration/test_rings.c $(support_sources) \
	tests/support/proxy.c tests/support/proxy.h
tests_integration_test_rings_LDADD = client/libchan.la $(integration_libs) -lpthread

check_PROGRAMS += $(integration_tests)
TESTS += $(integration_tests)

TESTS += tests/integration/examples.sh tests/integration/with_rings.sh
EXTRA_DIST += tests/integration/examples.sh tests/integration/with_rings.sh
