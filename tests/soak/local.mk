# Client processes under faults, and the judge of what they saw.
#
#   make soak SOAK_SECONDS=600 SOAK_SEED=0x1234

proxy_sources = tests/support/proxy.c tests/support/proxy.h
network_sources = tests/support/network.c tests/support/network.h
soak_sources = tests/soak/journal.c tests/soak/journal.h $(judge_sources) tests/support/dice.h \
	tests/support/daemon.c tests/support/daemon.h

check_PROGRAMS += tests/soak/soak
tests_soak_soak_SOURCES = tests/soak/soak.c tests/soak/stage.c tests/soak/stage.h $(proxy_sources) \
	tests/soak/player.c tests/soak/player.h tests/soak/troupe.c tests/soak/troupe.h \
	tests/soak/nemesis.c tests/soak/nemesis.h $(network_sources) $(soak_sources)
tests_soak_soak_LDADD = client/libchan.la $(CMOCKA_LIBS)
TESTS += tests/soak/soak

check_PROGRAMS += tests/soak/consumers tests/soak/stream
tests_soak_consumers_SOURCES = tests/soak/consumers.c $(soak_sources)
tests_soak_consumers_LDADD = client/libchan.la $(CMOCKA_LIBS)
tests_soak_stream_SOURCES = tests/soak/stream.c $(proxy_sources) tests/support/dice.h \
	tests/support/daemon.c tests/support/daemon.h
tests_soak_stream_LDADD = client/libchan.la $(CMOCKA_LIBS)
TESTS += tests/soak/consumers tests/soak/stream

CLEANFILES += consumers.history soak-*.history

SOAK_SECONDS = 600
.PHONY: soak
soak: all tests/soak/soak
	CMOCKA_MESSAGE_OUTPUT=TAP SOAK_SECONDS=$(SOAK_SECONDS) SOAK_SEED=$(SOAK_SEED) tests/soak/soak
