# server/net: see Makefile.am
