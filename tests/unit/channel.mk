# Unit tests of channel: see local.mk.
