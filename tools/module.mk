# SPDX-License-Identifier: GPL-3.0-or-later
# tools/: programs for people. The offline help desk, one verb per file (desk_open, desk_volume, desk_audit):
tools_desk_sources := tools/desk.c tools/desk_open.c tools/desk_audit.c tools/desk_erase.c tools/desk_disclose.c tools/desk_session.c tools/desk_input.c tools/desk_log.c \
    tools/desk_org.c tools/desk_print.c
# volume: volume*.c are LUKS2 and BitLocker behind one table, desk_volume*.c what a person sees.
tools_volume_sources := tools/volume_copy.c tools/volume_out.c tools/volume_try.c tools/volume_end.c
tools_desk_sources += $(tools_volume_sources) tools/volume.c tools/volume_image.c tools/volume_key.c tools/volume_luks2.c \
    tools/volume_bitlocker.c tools/volume_describe_luks2.c tools/volume_describe_bitlocker.c \
    tools/desk_volume.c tools/desk_volume_rebuild.c tools/desk_rebuild.c tools/desk_volume_open.c tools/desk_volume_show.c tools/desk_volume_test.c \
    tools/desk_volume_decrypt.c tools/desk_volume_json.c tools/desk_volume_text.c tools/desk_volume_progress.c
$(eval $(call program,bin/keyholt-desk,$(tools_desk_sources),-ljson-c -lcryptsetup))

# seals envelopes for tests/desk/test_desk.py
$(eval $(call program,tests/seal_tool,tests/desk/seal_tool.c,))

$(eval $(call unit,test_volume,$(tools_volume_sources)))

# many devices at once, for benches and tests; in no package
$(eval $(call program,bin/keyholt-load,tools/load.c tools/load_org.c tools/load_device.c tools/load_record.c tools/load_http.c \
    tools/load_conn.c tools/load_tally.c tools/load_run.c,-ljson-c -lssl -lz))
