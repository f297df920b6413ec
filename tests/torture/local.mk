# Every call that can fail is made to fail: see test_torture.c and test_suite.c.

fault_calls = malloc calloc realloc aligned_alloc strdup mmap fallocate socket eventfd epoll_create1 memfd_create accept4 fopen \
	poll pthread_create getrandom madvise setsockopt read recv recvmsg write send sendmsg
fault_ldflags = $(fault_calls:%=-Wl,--wrap=%) -Wl,--wrap=abort -Wl,--wrap=_exit
fault_sources = tests/torture/faults.c tests/torture/faults.h

# The daemon and the library with faults in them. A program's name is that of a daemon for ps.
check_PROGRAMS += tests/torture/chand
tests_torture_chand_SOURCES = $(chand_SOURCES) $(fault_sources)
tests_torture_chand_CPPFLAGS = $(chand_CPPFLAGS)
tests_torture_chand_LDADD = $(chand_LDADD)
tests_torture_chand_LDFLAGS = $(AM_LDFLAGS) $(fault_ldflags)

torture_tests = tests/torture/test_torture
tests_torture_test_torture_SOURCES = tests/torture/test_torture.c \
	tests/torture/conversation.c tests/torture/conversation.h $(fault_sources) $(support_sources)
tests_torture_test_torture_LDADD = client/libclient.la $(integration_libs) -lpthread
tests_torture_test_torture_LDFLAGS = $(AM_LDFLAGS) $(fault_ldflags)

torture_tests += tests/torture/test_suite
tests_torture_test_suite_SOURCES = tests/torture/test_suite.c $(fault_sources) $(support_sources)
tests_torture_test_suite_LDADD = $(integration_libs)
tests_torture_test_suite_LDFLAGS = $(AM_LDFLAGS) $(fault_ldflags)

check_PROGRAMS += $(torture_tests)
TESTS += $(torture_tests)
# Every single one of them; TORTURE_STRIDE=k: each k-th.
TORTURE_STRIDE = 1
.PHONY: torture
torture: all $(check_PROGRAMS)
	TORTURE_STRIDE=$(TORTURE_STRIDE) TEST_TIMEOUT=$(SLOW_TIMEOUT) $(MAKE) $(AM_MAKEFLAGS) check TESTS='$(torture_tests)'

EXTRA_DIST += tests/torture/local.mk
