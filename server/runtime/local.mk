# server/runtime: see Makefile.am
