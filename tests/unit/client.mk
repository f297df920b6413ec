# Unit tests of client: see local.mk. They see the inside of the library, which libchan.la hides.
client_parts_libs = client/libclient.la $(proto_test_libs) -lpthread

unit_tests += tests/unit/test_client
tests_unit_test_client_SOURCES = tests/unit/test_client.c tests/support/fake_broker.c \
	tests/support/fake_broker.h
tests_unit_test_client_LDADD = $(client_parts_libs)
tests_unit_test_client_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_gettime

unit_tests += tests/unit/test_credentials
tests_unit_test_credentials_LDADD = $(client_parts_libs)

unit_tests += tests/unit/test_client_lease
tests_unit_test_client_lease_SOURCES = tests/unit/test_client_lease.c tests/support/fake_broker.c \
	tests/support/fake_broker.h
tests_unit_test_client_lease_LDADD = $(client_parts_libs)
tests_unit_test_client_lease_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_gettime

unit_tests += tests/unit/test_client_rings
tests_unit_test_client_rings_SOURCES = tests/unit/test_client_rings.c tests/support/bell.h \
	tests/support/descriptors.h
tests_unit_test_client_rings_LDADD = $(client_parts_libs)
tests_unit_test_client_rings_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fallocate

unit_tests += tests/unit/test_client_goes_over
tests_unit_test_client_goes_over_SOURCES = tests/unit/test_client_goes_over.c \
	tests/support/bell.h tests/support/descriptors.h tests/support/fake_broker.c tests/support/fake_broker.h
tests_unit_test_client_goes_over_LDADD = $(client_parts_libs)

unit_tests += tests/unit/test_client_ride
tests_unit_test_client_ride_SOURCES = tests/unit/test_client_ride.c tests/support/fake_broker.c \
	tests/support/fake_broker.h
tests_unit_test_client_ride_LDADD = $(client_parts_libs)

unit_tests += tests/unit/test_client_ring
tests_unit_test_client_ring_SOURCES = tests/unit/test_client_ring.c tests/support/bell.h \
	tests/support/descriptors.h
tests_unit_test_client_ring_LDADD = $(client_parts_libs)

unit_tests += tests/unit/test_keeper
tests_unit_test_keeper_SOURCES = tests/unit/test_keeper.c tests/support/fake_broker.c \
	tests/support/fake_broker.h
tests_unit_test_keeper_LDADD = $(client_parts_libs)

unit_tests += tests/unit/test_delivery
tests_unit_test_delivery_LDADD = $(client_parts_libs)

unit_tests += tests/unit/test_flight
tests_unit_test_flight_LDADD = $(client_parts_libs)

# chanctl's own, on libchan's parts, as the fake broker needs them.
unit_tests += tests/unit/test_events
tests_unit_test_events_SOURCES = tests/unit/test_events.c tests/support/fake_broker.c \
	tests/support/fake_broker.h
tests_unit_test_events_LDADD = client/chanctl/libchanctl.a $(client_parts_libs)

unit_tests += tests/unit/test_output
tests_unit_test_output_SOURCES = tests/unit/test_output.c tests/support/fake_broker.c \
	tests/support/fake_broker.h
tests_unit_test_output_LDADD = $(client_parts_libs)
tests_unit_test_output_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=send

unit_tests += tests/unit/test_reconnect
tests_unit_test_reconnect_SOURCES = tests/unit/test_reconnect.c tests/support/fake_broker.c \
	tests/support/fake_broker.h
tests_unit_test_reconnect_LDADD = $(client_parts_libs)
tests_unit_test_reconnect_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_gettime

unit_tests += tests/unit/test_resend
tests_unit_test_resend_LDADD = $(client_parts_libs)

unit_tests += tests/unit/test_url
tests_unit_test_url_LDADD = $(client_parts_libs)

TESTS += tests/unit/client_symbols.sh
EXTRA_DIST += tests/unit/client_symbols.sh

unit_tests += tests/unit/test_tls_dial
tests_unit_test_tls_dial_LDADD = $(client_parts_libs) $(OPENSSL_LIBS)
tests_unit_test_tls_dial_CPPFLAGS = $(AM_CPPFLAGS) $(OPENSSL_CFLAGS)
