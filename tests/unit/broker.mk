# Unit tests of the broker around the engine, and of the daemon's configuration: see local.mk.
broker_test_libs = server/broker/libbroker.a server/broker/libengine.a server/net/libnet.a \
	$(channel_test_libs) proto/libproto.la $(OPENSSL_LIBS)

unit_tests += tests/unit/test_config
tests_unit_test_config_SOURCES = tests/unit/test_config.c $(config_sources)
tests_unit_test_config_CPPFLAGS = $(AM_CPPFLAGS) $(CONFUSE_CFLAGS)
tests_unit_test_config_LDADD = $(broker_test_libs) $(CONFUSE_LIBS)

unit_tests += tests/unit/test_batch tests/unit/test_buffers tests/unit/test_gate tests/unit/test_helm \
	tests/unit/test_outbox tests/unit/test_replay tests/unit/test_ride tests/unit/test_session \
	tests/unit/test_stock tests/unit/test_writer
tests_unit_test_batch_LDADD = $(broker_test_libs)
tests_unit_test_buffers_LDADD = $(broker_test_libs)
tests_unit_test_gate_LDADD = $(broker_test_libs)
tests_unit_test_helm_LDADD = $(broker_test_libs)
tests_unit_test_outbox_LDADD = $(broker_test_libs)
tests_unit_test_replay_LDADD = $(broker_test_libs)
tests_unit_test_ride_LDADD = $(broker_test_libs)
tests_unit_test_session_LDADD = $(broker_test_libs)
tests_unit_test_stock_LDADD = $(broker_test_libs)
tests_unit_test_writer_LDADD = $(broker_test_libs)
