noinst_LIBRARIES += server/channel/libchannel.a
server_channel_libchannel_a_SOURCES = \
	server/channel/hchan.c server/channel/hchan.h \
	server/channel/select.c server/channel/select.h \
	server/channel/sudog.c server/channel/sudog.h
