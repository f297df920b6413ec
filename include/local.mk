# include: see Makefile.am
