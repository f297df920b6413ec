# What applications include.
chanincludedir = $(includedir)/chan
chaninclude_HEADERS = include/chan/chan.h include/chan/status.h include/chan/value.h
