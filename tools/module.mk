# SPDX-License-Identifier: GPL-3.0-or-later
# tools/: programs for people. The offline help desk, one verb per file (desk_open, desk_audit):
tools_desk_sources := tools/desk.c tools/desk_open.c tools/desk_audit.c tools/desk_disclose.c tools/desk_input.c tools/desk_log.c \
    tools/desk_org.c tools/desk_print.c
$(eval $(call program,bin/keyholt-desk,$(tools_desk_sources),-ljson-c))

# seals envelopes for tests/desk/test_desk.py
$(eval $(call program,tests/seal_tool,tests/desk/seal_tool.c,))
