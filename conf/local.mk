# What is installed for the administrator: the example of a configuration, and a unit for systemd.
chandconfdir = $(sysconfdir)/chand
dist_chandconf_DATA = conf/chand.conf

systemdunitdir = $(prefix)/lib/systemd/system
nodist_systemdunit_DATA = conf/chand.service
CLEANFILES += conf/chand.service
EXTRA_DIST += conf/chand.service.in

# [@], or configure would fill in the patterns themselves.
conf/chand.service: conf/chand.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) conf && $(SED) -e 's,[@]bindir@,$(bindir),' \
		-e 's,[@]sysconfdir@,$(sysconfdir),' $(srcdir)/conf/chand.service.in > $@
