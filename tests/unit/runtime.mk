# Unit tests of runtime: see local.mk.
unit_tests += tests/unit/test_blocking tests/unit/test_context tests/unit/test_dump \
	tests/unit/test_fault tests/unit/test_go tests/unit/test_goroutine tests/unit/test_guard \
	tests/unit/test_netpoll tests/unit/test_newq tests/unit/test_note tests/unit/test_nursery \
	tests/unit/test_rival tests/unit/test_run \
	tests/unit/test_runq tests/unit/test_sched tests/unit/test_stack tests/unit/test_stackpool \
	tests/unit/test_sysmon tests/unit/test_timer
tests_unit_test_blocking_LDADD = $(runtime_test_libs)
tests_unit_test_context_LDADD = $(runtime_test_libs)
tests_unit_test_dump_LDADD = $(runtime_test_libs)
tests_unit_test_fault_LDADD = $(runtime_test_libs)
tests_unit_test_go_LDADD = $(runtime_test_libs)
tests_unit_test_goroutine_LDADD = $(runtime_test_libs)
tests_unit_test_guard_LDADD = $(runtime_test_libs)
tests_unit_test_netpoll_LDADD = $(runtime_test_libs)
tests_unit_test_newq_LDADD = $(runtime_test_libs)
tests_unit_test_note_LDADD = $(runtime_test_libs)
tests_unit_test_nursery_LDADD = $(runtime_test_libs)
tests_unit_test_rival_LDADD = $(runtime_test_libs)
tests_unit_test_run_LDADD = $(runtime_test_libs)
tests_unit_test_runq_LDADD = $(runtime_test_libs)
tests_unit_test_sched_LDADD = $(runtime_test_libs)
tests_unit_test_stack_LDADD = $(runtime_test_libs)
tests_unit_test_stackpool_LDADD = $(runtime_test_libs)
tests_unit_test_sysmon_LDADD = $(runtime_test_libs)
tests_unit_test_timer_LDADD = $(runtime_test_libs)
EXTRA_DIST += tests/support/run.h

check_PROGRAMS += tests/unit/gdb_target
tests_unit_gdb_target_LDADD = server/runtime/libruntime.a server/base/libbase.a $(LIBEVENT_LIBS) -lpthread
TESTS += tests/unit/test_gdb.sh
EXTRA_DIST += tests/unit/test_gdb.sh
