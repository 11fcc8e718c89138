# SPDX-License-Identifier: GPL-3.0-or-later
# tests/laptop/: the virtual laptop (Python) and the C tools that put file systems into encrypted images.
$(eval $(call program,tests/luks_fill,tests/laptop/luks_fill.c,-lcryptsetup))
$(eval $(call program,tests/bitlk_fill,tests/laptop/bitlk_fill.c,))
