# SPDX-License-Identifier: GPL-3.0-or-later
# packaging/: three Debian packages, each a folder with control, install (mode, from, to) and scripts.
deb_arch := $(shell dpkg --print-architecture)

# every built file that a package's install list names
deb_built = $(shell sed -n 's,^[0-7]* *\$$B/\([^ ]*\).*,$(B)/\1,p' packaging/$(1)/install)
# $(call package,folder,name)
define package
debs += $(B)/$(2)_$(VERSION)_$(deb_arch).deb
$(B)/$(2)_$(VERSION)_$(deb_arch).deb: $(call deb_built,$(1)) packaging/make-deb packaging/changelog \
    packaging/copyright $(shell find packaging/$(1) packaging/initramfs packaging/systemd packaging/man -type f)
	$$(call say,DEB,$$@)packaging/make-deb $(1) $(VERSION) $(B)
endef
$(eval $(call package,agent,keyholt-agent))
$(eval $(call package,server,keyholt-server))
$(eval $(call package,desk,keyholt-desk))

# the configuration with its comments, as the program itself knows it
$(B)/server.conf: $(B)/bin/keyholt-server
	$(call say,CONF,$@)$< check-config --defaults >$@.new && mv $@.new $@

# and the manual's page on it
$(B)/keyholt-server.conf.5: $(B)/bin/keyholt-server
	$(call say,MAN,$@)$< check-config --manual >$@.new && mv $@.new $@

deb: $(debs)
