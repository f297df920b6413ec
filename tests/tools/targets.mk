# Targets for people and CI beside `check`.

# ---- Variants: the suite built in another way, in a folder of its own (build-NAME) ----
#
# Configured from the dist tree: `../configure` would refuse for whoever has configured in the
# source folder, and EXTRA_DIST is proved on the side. What was built stays, so that the next run
# builds only what changed; remove the folder to begin anew.

variants = asan tsan clang debug valgrind coverage broken fuzz
VARIANT_asan = --with-sanitizer=address,undefined --enable-debug CFLAGS='-g -O1'
VARIANT_tsan = --with-sanitizer=thread CFLAGS='-g -O1'
VARIANT_clang = CC=clang
VARIANT_debug = --enable-debug
VARIANT_valgrind = --enable-valgrind CFLAGS='-g -O1'
VARIANT_coverage = --disable-lto CFLAGS='-g -O0 --coverage'
VARIANT_broken = --disable-lto --enable-broken-rule=environment
# No bytes from NULL on are no bytes (C2y says so too); whoever really leaves an object meets ASan.
VARIANT_fuzz = CC=clang --enable-fuzz --enable-debug --with-sanitizer=address,undefined \
	CFLAGS='-g -O1 -fno-sanitize=pointer-overflow'

.PHONY: $(variants:%=variant-%)
$(variants:%=variant-%): variant-%:
	$(AM_V_at)$(MKDIR_P) build-$*
	$(AM_V_GEN)$(MAKE) $(AM_MAKEFLAGS) distdir distdir=build-$*/src >/dev/null
	$(AM_V_at)cd build-$* && { test -f config.status || \
		src/configure -q --enable-werror --disable-shared $(VARIANT_$*); }
	$(AM_V_at)$(MAKE) $(AM_MAKEFLAGS) -C build-$* all

# Sanitizers end a program at the first report, so that a test that passes has made none.
# TSan wants threads that race: four processors whatever the machine has.
.PHONY: asan tsan clang debug valgrind coverage
asan: variant-asan
	ASAN_OPTIONS=detect_stack_use_after_return=0 TEST_TIMEOUT=$(SLOW_TIMEOUT) \
		$(MAKE) $(AM_MAKEFLAGS) -C build-$@ check
tsan: variant-tsan
	TSAN_OPTIONS=halt_on_error=1 CHAND_PROCS=4 TEST_TIMEOUT=$(SLOW_TIMEOUT) \
		$(MAKE) $(AM_MAKEFLAGS) -C build-$@ check
clang debug: %: variant-%
	$(MAKE) $(AM_MAKEFLAGS) -C build-$@ check
SLOW_TIMEOUT = 600

# Programs under valgrind, and the daemons that they start. What counts resident pages is left out;
# so is test_config, whose --help has glibc's argp read a field that it has not set.
VALGRIND = valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
	--show-leak-kinds=definite --fair-sched=yes --trace-children=yes \
	--trace-children-skip='*/sh,*/gdb'
VALGRIND_TESTS = \
	$(filter-out %/test_goroutine %/test_engine_random %/test_config,$(filter-out %.sh,$(unit_tests))) \
	tests/integration/test_handoff tests/integration/test_lifetime tests/integration/test_libchan
valgrind: variant-valgrind
	TEST_WRAPPER="$(VALGRIND)" TEST_TIMEOUT=$(SLOW_TIMEOUT) \
		$(MAKE) $(AM_MAKEFLAGS) -C build-$@ check TESTS='$(VALGRIND_TESTS)'

# Lines run by the suite, a file a line.
coverage: variant-coverage
	-$(MAKE) $(AM_MAKEFLAGS) -C build-$@ check
	$(SHELL) $(top_srcdir)/tests/tools/coverage.sh build-$@

EXTRA_DIST += tests/tools/check-aarch64.sh
.PHONY: check-aarch64
check-aarch64:
	$(AM_V_at)$(MKDIR_P) build-aarch64
	$(MAKE) $(AM_MAKEFLAGS) distdir distdir=build-aarch64/src >/dev/null
	$(SHELL) $(top_srcdir)/tests/tools/check-aarch64.sh build-aarch64/src build-aarch64

# ---- Showing it ----

.PHONY: demo
demo: all
	@$(AM_TESTS_ENVIRONMENT) $(SHELL) $(top_srcdir)/tests/tools/demo.sh

# ---- Care of the sources ----

our_sources = cd $(top_srcdir) && find include proto server client tests -name '*.[ch]' ! -name '*.pb-c.*'

.PHONY: format format-check check-layers top
format:
	$(our_sources) | xargs clang-format -i
format-check:
	$(our_sources) | xargs clang-format --dry-run -Werror
check-layers:
	@top_srcdir=$(top_srcdir) $(SHELL) $(top_srcdir)/tests/tools/check-layers.sh

# The longest functions and files, and how long the usual one is.
top:
	@$(our_sources) | xargs $(SHELL) tests/tools/top.sh

compile_commands.json:
	bear -- $(MAKE) $(AM_MAKEFLAGS) -B all $(check_PROGRAMS)
.PHONY: compile_commands.json

clean-local:
	rm -rf $(variants:%=build-%) build-aarch64

EXTRA_DIST += tests/tools/demo.sh tests/tools/top.sh tests/tools/coverage.sh
