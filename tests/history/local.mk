# Histories of what clients saw, and their judge; for tests/stress and tests/soak.

judge_sources = tests/history/judge.c tests/history/order.c tests/history/judge.h \
	tests/history/history.c tests/history/history.h

check_PROGRAMS += tests/history/test_judge
tests_history_test_judge_SOURCES = tests/history/test_judge.c $(judge_sources)
tests_history_test_judge_LDADD = $(CMOCKA_LIBS)
TESTS += tests/history/test_judge
