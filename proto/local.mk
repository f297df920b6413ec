# Frames, messages and values as bytes: one convenience library, position-independent because
# libchan is shared. protobuf-c's generated code is made at build time.
noinst_LTLIBRARIES += proto/libproto.la
proto_libproto_la_SOURCES = \
	proto/arena.c proto/arena.h \
	proto/buf.c proto/buf.h \
	proto/endian.h \
	proto/frame.c proto/frame.h \
	proto/limits.h \
	proto/name.c proto/name.h \
	proto/ring.c proto/ring.h \
	proto/status.c proto/status.h \
	proto/type.c proto/type.h \
	proto/wire.c proto/wire.h \
	proto/wire_shape.c proto/wire_shape.h \
	proto/wire_value.c
nodist_proto_libproto_la_SOURCES = proto/chand.pb-c.c proto/chand.pb-c.h
AM_CPPFLAGS += $(PROTOBUF_C_CFLAGS)
proto_libproto_la_LIBADD = $(PROTOBUF_C_LIBS) $(UNISTRING_LIBS)

BUILT_SOURCES += proto/chand.pb-c.h
CLEANFILES += proto/chand.pb-c.c proto/chand.pb-c.h
EXTRA_DIST += proto/chand.proto proto/PROTOCOL.md

proto/chand.pb-c.c: proto/chand.proto
	$(AM_V_GEN)$(MKDIR_P) proto && \
	$(PROTOC) --proto_path=$(srcdir)/proto --c_out=proto $(srcdir)/proto/chand.proto

# protoc-c writes both at once.
proto/chand.pb-c.h: proto/chand.pb-c.c
	@test -f $@ || { rm -f $< && $(MAKE) $(AM_MAKEFLAGS) $<; }

# Also when only this library is asked for.
proto/wire_shape.lo proto/wire_value.lo: proto/chand.pb-c.h
