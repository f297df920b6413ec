# The suite: `make check`. Every test prints TAP and runs under a time limit (tools/run-test.sh).
#
#   make check TESTS=tests/unit/test_hchan          one test (its output: tests/unit/test_hchan.log)
#   make check TEST_TIMEOUT=600                     more patience, in seconds a test
#
# A test is added in the sub-file of its area: see tests/unit/local.mk for programs, and
# tests/shell/local.mk for scripts.

TEST_EXTENSIONS = .sh .py
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
SH_LOG_DRIVER = $(LOG_DRIVER)
PY_LOG_DRIVER = $(LOG_DRIVER)
LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/tools/run-test.sh
SH_LOG_COMPILER = $(LOG_COMPILER)
PY_LOG_COMPILER = $(LOG_COMPILER)

# What tests may rely on: where sources and programs are (absolute), the compilers' flags' flavour,
# and python3 or `:` when there is none.
AM_TESTS_ENVIRONMENT = \
	top_srcdir='$(abs_top_srcdir)'; top_builddir='$(abs_top_builddir)'; \
	PYTHON='$(PYTHON)'; CC='$(CC)'; TEST_SANITIZER='$(with_sanitizer)'; \
	export top_srcdir top_builddir PYTHON CC TEST_SANITIZER;

EXTRA_DIST += tests/tools/run-test.sh tests/support/skip.h tests/support/time_limit.h

include tests/unit/local.mk
include tests/programs/local.mk
include tests/integration/local.mk
include tests/shell/local.mk
include tests/python/local.mk
include tests/history/local.mk
include tests/stress/local.mk
include tests/soak/local.mk
include tests/torture/local.mk
include tests/bench/local.mk
include tests/fuzz/local.mk
include tests/tools/local.mk
