# SPDX-License-Identifier: GPL-3.0-or-later
# tests/laptop/: the virtual laptop (Python) and the one C tool that its image builder needs.
$(eval $(call program,tests/luks_fill,tests/laptop/luks_fill.c,-lcryptsetup))
