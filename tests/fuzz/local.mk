# Fuzzers, and the inputs that they begin with. HACKING.md tells how to run and add one.
#
#   make fuzz FUZZ_SECONDS=600 FUZZ=engine     libFuzzer, in build-fuzz; all of them without FUZZ
#
# Without --enable-fuzz they are tests: each runs its inputs in corpus/NAME by standalone.c.

fuzz_names = account client config engine frame session url
fuzz_programs = tests/fuzz/fuzz_account tests/fuzz/fuzz_client tests/fuzz/fuzz_config \
	tests/fuzz/fuzz_engine tests/fuzz/fuzz_frame tests/fuzz/fuzz_session tests/fuzz/fuzz_url
fuzz_common = tests/fuzz/fuzz.h
if !FUZZ
fuzz_common += tests/fuzz/standalone.c
endif

tests_fuzz_fuzz_account_SOURCES = tests/fuzz/fuzz_account.c $(engine_account) $(fuzz_common)
tests_fuzz_fuzz_account_LDADD = $(engine_test_libs)
tests_fuzz_fuzz_account_LDFLAGS = $(AM_LDFLAGS) $(failing_malloc_ldflags) $(FUZZ_LDFLAGS)

tests_fuzz_fuzz_client_SOURCES = tests/fuzz/fuzz_client.c tests/fuzz/world.c \
	tests/fuzz/world.h $(fuzz_common)
tests_fuzz_fuzz_client_LDADD = $(client_parts_libs)
tests_fuzz_fuzz_client_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS) \
	-Wl,--wrap=clock_gettime -Wl,--wrap=poll -Wl,--wrap=stream_dial \
	-Wl,--wrap=pthread_cond_timedwait -Wl,--wrap=stream_expect_rings \
	-Wl,--wrap=stream_take_rings -Wl,--wrap=stream_take_larger_rings -Wl,--wrap=stream_forgo_rings \
	-Wl,--wrap=stream_begin_ring_reading -Wl,--wrap=stream_begin_ring_writing

tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c $(config_sources) \
	$(fuzz_common)
tests_fuzz_fuzz_config_CPPFLAGS = $(AM_CPPFLAGS) $(CONFUSE_CFLAGS)
tests_fuzz_fuzz_config_LDADD = $(broker_test_libs) $(CONFUSE_LIBS)
tests_fuzz_fuzz_config_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

tests_fuzz_fuzz_engine_SOURCES = tests/fuzz/fuzz_engine.c $(engine_model) $(fuzz_common)
tests_fuzz_fuzz_engine_LDADD = $(engine_test_libs)
tests_fuzz_fuzz_engine_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

tests_fuzz_fuzz_frame_SOURCES = tests/fuzz/fuzz_frame.c $(wire_reference) $(fuzz_common)
tests_fuzz_fuzz_frame_LDADD = $(proto_test_libs) $(PROTOBUF_C_LIBS) $(UNISTRING_LIBS)
tests_fuzz_fuzz_frame_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

tests_fuzz_fuzz_session_SOURCES = tests/fuzz/fuzz_session.c $(fuzz_common)
tests_fuzz_fuzz_session_LDADD = $(broker_test_libs)
tests_fuzz_fuzz_session_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

tests_fuzz_fuzz_url_SOURCES = tests/fuzz/fuzz_url.c $(fuzz_common)
tests_fuzz_fuzz_url_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_url_LDADD = client/chanctl/libchanctl.a $(net_test_libs) $(client_parts_libs) \
	$(JANSSON_LIBS) $(UNISTRING_LIBS)
tests_fuzz_fuzz_url_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

check_PROGRAMS += $(fuzz_programs)
if !FUZZ
TESTS += $(fuzz_programs)
endif

# Writes the first inputs, those that no fuzzer has found.
check_PROGRAMS += tests/fuzz/seeds
tests_fuzz_seeds_LDADD = $(proto_test_libs)

FUZZ_SECONDS = 60
FUZZ_LANES = 1
FUZZ = $(fuzz_names)
.PHONY: fuzz fuzz-corpus
fuzz: variant-fuzz
	$(MAKE) $(AM_MAKEFLAGS) -C build-fuzz $(FUZZ:%=tests/fuzz/fuzz_%)
	FUZZ_LANES=$(FUZZ_LANES) $(SHELL) $(top_srcdir)/tests/fuzz/run.sh build-fuzz $(FUZZ_SECONDS) $(FUZZ)
fuzz-corpus:
	$(SHELL) $(top_srcdir)/tests/fuzz/merge.sh build-fuzz $(FUZZ)

EXTRA_DIST += tests/fuzz/run.sh tests/fuzz/merge.sh tests/fuzz/RESULTS.md tests/fuzz/corpus tests/fuzz/dict
