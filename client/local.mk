# client: see Makefile.am
