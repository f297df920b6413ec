# Unit tests of channel: see local.mk.

unit_tests += tests/unit/test_hchan tests/unit/test_select tests/unit/test_sudog
tests_unit_test_hchan_SOURCES = tests/unit/test_hchan.c $(goroutine_test_headers)
tests_unit_test_hchan_LDADD = $(channel_test_libs)
tests_unit_test_select_SOURCES = tests/unit/test_select.c $(goroutine_test_headers)
tests_unit_test_select_LDADD = $(channel_test_libs)
tests_unit_test_sudog_LDADD = $(channel_test_libs)

goroutine_test_headers = tests/support/goroutine_test.h tests/support/waitgroup.h
