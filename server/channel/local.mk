# server/channel: see Makefile.am
