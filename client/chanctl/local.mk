# client/chanctl: see Makefile.am
