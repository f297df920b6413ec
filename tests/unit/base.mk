# Unit tests of base: see local.mk.
unit_tests += tests/unit/test_clock tests/unit/test_fence tests/unit/test_list tests/unit/test_lock \
	tests/unit/test_log \
	tests/unit/test_log_limit tests/unit/test_memory tests/unit/test_panic tests/unit/test_random
tests_unit_test_clock_LDADD = $(base_test_libs)
tests_unit_test_fence_LDADD = $(base_test_libs)
tests_unit_test_list_LDADD = $(base_test_libs)
tests_unit_test_lock_LDADD = $(base_test_libs)
tests_unit_test_log_LDADD = $(base_test_libs)
tests_unit_test_log_limit_LDADD = $(base_test_libs)
tests_unit_test_memory_LDADD = $(base_test_libs)
tests_unit_test_panic_LDADD = $(base_test_libs)
tests_unit_test_random_LDADD = $(base_test_libs)
EXTRA_DIST += tests/support/child.h tests/support/no_membarrier.h
