# Seeded stress tests and the judge of what they saw.
#
#   make stress STRESS_SECONDS=60 STRESS_SEED=0x1234
#   make broken-rules       breaks each rule in turn, and sees that the judge notices

check_PROGRAMS += tests/stress/stress
tests_stress_stress_SOURCES = tests/stress/stress.c tests/stress/play.h tests/support/dice.h \
	tests/stress/frames.c tests/stress/agent.c tests/stress/agent.h tests/stress/threads.c \
	$(judge_sources) tests/support/daemon.c tests/support/daemon.h
tests_stress_stress_LDADD = client/libchan.la proto/libproto.la $(CMOCKA_LIBS) -lpthread
TESTS += tests/stress/stress

EXTRA_DIST += tests/stress/broken-rules.sh
CLEANFILES += stress-*.history

STRESS_SECONDS = 30
.PHONY: stress broken-rules
stress: all tests/stress/stress
	CMOCKA_MESSAGE_OUTPUT=TAP STRESS_SECONDS=$(STRESS_SECONDS) STRESS_SEED=$(STRESS_SEED) \
		tests/stress/stress

broken-rules: variant-broken
	$(MAKE) $(AM_MAKEFLAGS) -C build-broken tests/stress/stress tests/soak/soak
	$(SHELL) $(top_srcdir)/tests/stress/broken-rules.sh build-broken
