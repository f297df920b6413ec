# Unit tests of net: see local.mk.
unit_tests += tests/unit/test_address tests/unit/test_listener tests/unit/test_stream \
	tests/unit/test_stream_peer tests/unit/test_stream_ring tests/unit/test_stream_tls
tests_unit_test_address_LDADD = $(net_test_libs)
tests_unit_test_listener_LDADD = $(net_test_libs)
tests_unit_test_stream_LDADD = $(net_test_libs)
tests_unit_test_stream_peer_LDADD = $(net_test_libs)
tests_unit_test_stream_ring_SOURCES = tests/unit/test_stream_ring.c tests/support/descriptors.h \
	tests/support/dice.h
tests_unit_test_stream_ring_LDADD = $(net_test_libs)
tests_unit_test_stream_ring_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=sendmsg
tests_unit_test_stream_tls_LDADD = $(net_test_libs)
tests_unit_test_stream_tls_CPPFLAGS = $(AM_CPPFLAGS) $(OPENSSL_CFLAGS)
EXTRA_DIST += tests/support/certificates.sh tests/support/certificates.h
