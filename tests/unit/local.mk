# Unit tests: one cmocka program a source file, named for it.
#
# To add one, add its lines to the sub-file of its layer:
#
#   unit_tests += tests/unit/test_hchan
#   tests_unit_test_hchan_LDADD = $(channel_test_libs)
#
# (with tests/unit/test_hchan.c as its source, automake's default). The LDADD is the layer's own
# library and those below it, nothing else: a call upward then does not link.

unit_tests =

base_test_libs = server/base/libbase.a $(CMOCKA_LIBS) -lpthread
runtime_test_libs = server/runtime/libruntime.a $(base_test_libs) $(LIBEVENT_LIBS)
channel_test_libs = server/channel/libchannel.a $(runtime_test_libs)
net_test_libs = server/net/libnet.a $(runtime_test_libs) $(OPENSSL_LIBS) proto/libproto.la
proto_test_libs = proto/libproto.la $(CMOCKA_LIBS)
engine_test_libs = server/broker/libengine.a $(base_test_libs) proto/libproto.la $(OPENSSL_LIBS)
client_test_libs = client/libchan.la $(proto_test_libs) -lpthread

include tests/unit/base.mk
include tests/unit/runtime.mk
include tests/unit/channel.mk
include tests/unit/net.mk
include tests/unit/proto.mk
include tests/unit/engine.mk
include tests/unit/broker.mk
include tests/unit/client.mk
include tests/unit/chanctl.mk

check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
