# Unit tests of the engine: see local.mk. Their common language is support/transcript.h.
transcript = tests/support/transcript.c tests/support/transcript.h tests/support/packs.h

unit_tests += tests/unit/test_engine
tests_unit_test_engine_SOURCES = tests/unit/test_engine.c $(transcript)
tests_unit_test_engine_LDADD = $(engine_test_libs)

unit_tests += tests/unit/test_engine_channels
tests_unit_test_engine_channels_SOURCES = tests/unit/test_engine_channels.c $(transcript)
tests_unit_test_engine_channels_LDADD = $(engine_test_libs)

unit_tests += tests/unit/test_engine_absent
tests_unit_test_engine_absent_SOURCES = tests/unit/test_engine_absent.c $(transcript)
tests_unit_test_engine_absent_LDADD = $(engine_test_libs)

unit_tests += tests/unit/test_engine_batch
tests_unit_test_engine_batch_SOURCES = tests/unit/test_engine_batch.c $(transcript)
tests_unit_test_engine_batch_LDADD = $(engine_test_libs)

unit_tests += tests/unit/test_engine_select
tests_unit_test_engine_select_SOURCES = tests/unit/test_engine_select.c $(transcript)
tests_unit_test_engine_select_LDADD = $(engine_test_libs)

unit_tests += tests/unit/test_engine_permits
tests_unit_test_engine_permits_SOURCES = tests/unit/test_engine_permits.c $(transcript)
tests_unit_test_engine_permits_LDADD = $(engine_test_libs)

unit_tests += tests/unit/test_engine_lease
tests_unit_test_engine_lease_SOURCES = tests/unit/test_engine_lease.c $(transcript)
tests_unit_test_engine_lease_LDADD = $(engine_test_libs)

unit_tests += tests/unit/test_engine_producers
tests_unit_test_engine_producers_SOURCES = tests/unit/test_engine_producers.c $(transcript)
tests_unit_test_engine_producers_LDADD = $(engine_test_libs)

# What random tests of the engine have in common with its fuzzers.
engine_model = tests/support/engine_model.c tests/support/engine_model.h tests/support/choices.h \
	tests/support/packs.h
engine_account = tests/support/engine_account.c tests/support/engine_account.h \
	tests/support/choices.h tests/support/failing_malloc.h tests/support/packs.h

unit_tests += tests/unit/test_engine_access
tests_unit_test_engine_access_SOURCES = tests/unit/test_engine_access.c $(transcript)
tests_unit_test_engine_access_LDADD = $(engine_test_libs)

unit_tests += tests/unit/test_engine_random
tests_unit_test_engine_random_SOURCES = tests/unit/test_engine_random.c $(engine_model)
tests_unit_test_engine_random_LDADD = $(engine_test_libs)

unit_tests += tests/unit/test_engine_account
tests_unit_test_engine_account_SOURCES = tests/unit/test_engine_account.c $(engine_account)
tests_unit_test_engine_account_LDADD = $(engine_test_libs)
tests_unit_test_engine_account_LDFLAGS = $(failing_malloc_ldflags)

unit_tests += tests/unit/test_access tests/unit/test_glob tests/unit/test_identity \
	tests/unit/test_quota tests/unit/test_token
tests_unit_test_access_LDADD = $(engine_test_libs)
tests_unit_test_glob_LDADD = $(engine_test_libs)
tests_unit_test_identity_LDADD = $(engine_test_libs)
tests_unit_test_quota_LDADD = $(engine_test_libs)
tests_unit_test_token_LDADD = $(engine_test_libs)

unit_tests += tests/unit/test_heap
tests_unit_test_heap_LDADD = $(engine_test_libs)

unit_tests += tests/unit/test_names
tests_unit_test_names_LDADD = $(engine_test_libs)

unit_tests += tests/unit/test_seqmap
tests_unit_test_seqmap_LDADD = $(engine_test_libs)

unit_tests += tests/unit/test_engine_hostile
tests_unit_test_engine_hostile_LDADD = $(engine_test_libs)
