# Seeded stress tests and the judge of what they saw.

check_PROGRAMS += tests/stress/test_check
tests_stress_test_check_SOURCES = tests/stress/test_check.c $(judge_sources)
tests_stress_test_check_LDADD = $(CMOCKA_LIBS)
TESTS += tests/stress/test_check

judge_sources = tests/stress/check.c tests/stress/history.c tests/stress/history.h
