# Programs that measure, built by `make bench-programs` and run by `make bench`; what came out is
# written down in RESULTS.md.

EXTRA_DIST += tests/bench/run.sh tests/bench/RESULTS.md

bench_programs = tests/bench/inproc tests/bench/peer
tests_bench_inproc_SOURCES = tests/bench/inproc.c tests/support/waitgroup.h
tests_bench_inproc_LDADD = $(tour_libs)
tests_bench_peer_LDADD = client/libchan.la

EXTRA_PROGRAMS += $(bench_programs)
.PHONY: bench bench-programs
bench-programs: all # not beside it: with -j both would build the same libraries
	@$(MAKE) $(AM_MAKEFLAGS) $(bench_programs)
bench: bench-programs
	@$(AM_TESTS_ENVIRONMENT) $(SHELL) $(top_srcdir)/tests/bench/run.sh
