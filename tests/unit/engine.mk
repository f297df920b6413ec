# Unit tests of the engine: see local.mk. Their common language is support/transcript.h.
unit_tests += tests/unit/test_engine
tests_unit_test_engine_SOURCES = tests/unit/test_engine.c tests/support/transcript.c \
	tests/support/transcript.h
tests_unit_test_engine_LDADD = $(engine_test_libs)
