# SPDX-License-Identifier: GPL-3.0-or-later
# tests/constant_time/: code that has secrets in its hands, under valgrind, once with each back end. Compiled with
# the hosted flags; KEYHOLT_CONSTANT_TIME gives cr_reveal() its meaning.
$(B)/constant_time/obj/%.o: %.c Makefile
	$(call say,CC-CT,$<)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -DKEYHOLT_CONSTANT_TIME $(HOSTED_CFLAGS) -c $< -o $@

constant_time_sources := tests/constant_time/constant_time.c $(crypto_sources) formats/recovery_password.c \
    formats/envelope.c formats/guid.c
constant_time_objects = $(patsubst %.c,$(B)/constant_time/obj/%.o,$(constant_time_sources))
constant_time_tests := $(B)/tests/constant_time_openssl $(B)/tests/constant_time_mbedtls
all: $(constant_time_tests)
$(B)/tests/constant_time_openssl: $(constant_time_objects) \
    $(patsubst %.c,$(B)/constant_time/obj/%.o,$(filter crypto/openssl/%,$(crypto_hosted_sources)))
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^ -largon2 -lcrypto
$(patsubst %.c,$(B)/constant_time/obj/%.o,$(crypto_efi_sources)): CPPFLAGS += $(mbedtls_flags)
$(patsubst %.c,$(B)/constant_time/obj/%.o,$(crypto_efi_sources)): $(B)/src/mbedtls/.complete
$(B)/tests/constant_time_mbedtls: $(constant_time_objects) $(mbedtls_hosted_objects) $(argon2_hosted_objects) \
    $(patsubst %.c,$(B)/constant_time/obj/%.o,$(crypto_efi_sources))
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^
-include $(shell find $(B)/constant_time -name '*.d' 2>/dev/null)
