# Unit tests of proto: see local.mk.
failing_malloc_ldflags = $(AM_LDFLAGS) -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc

unit_tests += tests/unit/test_arena
tests_unit_test_arena_SOURCES = tests/unit/test_arena.c tests/support/failing_malloc.h
tests_unit_test_arena_LDADD = $(proto_test_libs)
tests_unit_test_arena_LDFLAGS = $(failing_malloc_ldflags)

unit_tests += tests/unit/test_buf
tests_unit_test_buf_SOURCES = tests/unit/test_buf.c tests/support/failing_malloc.h
tests_unit_test_buf_LDADD = $(proto_test_libs)
tests_unit_test_buf_LDFLAGS = $(failing_malloc_ldflags)

unit_tests += tests/unit/test_frame
tests_unit_test_frame_SOURCES = tests/unit/test_frame.c tests/support/guarded.h
tests_unit_test_frame_LDADD = $(proto_test_libs)

unit_tests += tests/unit/test_name
tests_unit_test_name_LDADD = $(proto_test_libs)

unit_tests += tests/unit/test_ring
tests_unit_test_ring_SOURCES = tests/unit/test_ring.c tests/support/dice.h
tests_unit_test_ring_LDADD = $(proto_test_libs)

unit_tests += tests/unit/test_status
tests_unit_test_status_LDADD = $(proto_test_libs)

unit_tests += tests/unit/test_type
tests_unit_test_type_SOURCES = tests/unit/test_type.c tests/support/guarded.h
tests_unit_test_type_LDADD = $(proto_test_libs)

unit_tests += tests/unit/test_wire
wire_reference = tests/support/wire_reference.c tests/support/wire_reference.h
tests_unit_test_wire_SOURCES = tests/unit/test_wire.c tests/support/failing_malloc.h \
	tests/support/guarded.h $(wire_reference)
tests_unit_test_wire_LDADD = $(proto_test_libs) $(PROTOBUF_C_LIBS) $(UNISTRING_LIBS)
tests_unit_test_wire_LDFLAGS = $(failing_malloc_ldflags)
