# Man pages, written once in scdoc's language. To add one: pages += doc/chand.8, from
# doc/chand.8.scd.

pages =
pages += doc/chanctl.1
pages += doc/chand.8 doc/chand.conf.5
pages += doc/libchan.3
man_MANS = $(pages)
EXTRA_DIST += $(pages:=.scd)
CLEANFILES += $(pages)

$(pages): %: %.scd
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SCDOC) < $< > $@.tmp && mv $@.tmp $@
