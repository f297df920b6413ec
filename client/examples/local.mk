# client/examples: see Makefile.am
