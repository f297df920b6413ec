# Seeded stress tests and the judge of what they saw.
#
#   make stress STRESS_SECONDS=60 STRESS_SEED=0x1234
#   make broken-rules       builds with each rule broken in turn, and sees that the judge notices

judge_sources = tests/stress/check.c tests/stress/history.c tests/stress/history.h

check_PROGRAMS += tests/stress/test_check tests/stress/stress
tests_stress_test_check_SOURCES = tests/stress/test_check.c $(judge_sources)
tests_stress_test_check_LDADD = $(CMOCKA_LIBS)
tests_stress_stress_SOURCES = tests/stress/stress.c tests/stress/play.h \
	tests/stress/frames.c tests/stress/agent.c tests/stress/agent.h tests/stress/threads.c \
	$(judge_sources) tests/support/daemon.c tests/support/daemon.h
tests_stress_stress_LDADD = client/libchan.la proto/libproto.la $(CMOCKA_LIBS) -lpthread
TESTS += tests/stress/test_check tests/stress/stress

EXTRA_DIST += tests/stress/broken-rules.sh
CLEANFILES += stress-*.history

STRESS_SECONDS = 30
.PHONY: stress broken-rules
stress: all tests/stress/stress
	CMOCKA_MESSAGE_OUTPUT=TAP STRESS_SECONDS=$(STRESS_SECONDS) STRESS_SEED=$(STRESS_SEED) \
		tests/stress/stress

broken-rules: variant-broken
	$(MAKE) $(AM_MAKEFLAGS) -C build-broken tests/stress/stress
	$(SHELL) $(top_srcdir)/tests/stress/broken-rules.sh build-broken
