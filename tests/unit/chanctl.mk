# Unit tests of chanctl: see local.mk.
chanctl_unit_tests = \
	tests/unit/test_child \
	tests/unit/test_duration \
	tests/unit/test_exit_codes \
	tests/unit/test_framing \
	tests/unit/test_printable \
	tests/unit/test_reader \
	tests/unit/test_substitute \
	tests/unit/test_table \
	tests/unit/test_text
unit_tests += $(chanctl_unit_tests)

chanctl_test_libs = $(chanctl_libs) $(CMOCKA_LIBS)
tests_unit_test_child_LDADD = $(chanctl_test_libs)
tests_unit_test_duration_LDADD = $(chanctl_test_libs)
tests_unit_test_exit_codes_LDADD = $(chanctl_test_libs)
tests_unit_test_framing_LDADD = $(chanctl_test_libs)
tests_unit_test_printable_LDADD = $(chanctl_test_libs)
tests_unit_test_reader_LDADD = $(chanctl_test_libs)
tests_unit_test_substitute_LDADD = $(chanctl_test_libs)
tests_unit_test_table_LDADD = $(chanctl_test_libs)
tests_unit_test_text_LDADD = $(chanctl_test_libs)
tests_unit_test_text_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
