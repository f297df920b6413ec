# server/broker: see Makefile.am
