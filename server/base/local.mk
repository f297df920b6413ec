# server/base: see Makefile.am
