# server: see Makefile.am
