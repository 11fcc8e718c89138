# SPDX-License-Identifier: GPL-3.0-or-later
# crypto/: primitives behind one interface. Both worlds:
crypto_sources := crypto/err.c crypto/secret.c crypto/cursor.c crypto/sha256.c crypto/sha256_sum.c crypto/sha256_hmac.c crypto/sha256_scalar.c crypto/sha256_ni.c \
    crypto/hkdf.c crypto/pbkdf2.c crypto/sectors.c crypto/argon2.c
# Hosted back end, and what only hosted programs need:
crypto_hosted_sources := crypto/openssl/hash.c crypto/openssl/aes.c crypto/openssl/aead.c crypto/openssl/sectors.c \
    crypto/openssl/argon2.c crypto/openssl/random.c crypto/openssl/p256.c crypto/openssl/p256_sign.c \
    crypto/openssl/p256_pem.c crypto/hpke.c \
    crypto/host/process.c crypto/host/secret_file.c crypto/host/file.c crypto/host/no_passphrase.c crypto/host/authenticode.c
# EFI back end:
crypto_efi_sources := crypto/mbedtls/hash.c crypto/mbedtls/pbkdf2.c crypto/mbedtls/aes.c crypto/mbedtls/sectors.c \
    crypto/mbedtls/argon2.c crypto/mbedtls/wipe.c

# Third-party sources of the EFI program: Debian's source packages, pinned in packaging/fetch.
mbedtls_src := $(B)/src/mbedtls
argon2_src := $(B)/src/argon2
qrcodegen_src := $(B)/src/qrcodegen/c
fetched := $(patsubst %,$(B)/src/%/.complete,mbedtls argon2 qrcodegen)
fetch: $(fetched)
$(B)/src/%/.complete: packaging/fetch
	$(call say,FETCH,$*)packaging/fetch $(B)/src $*

# Theirs is compiled with our flags but for the warnings: $(call theirs,tag,sources below $(B)/src,flags) makes one
# rule for firmware and one for the hosted twin, so that both back ends run the same vectors.
define theirs
$(1)_efi_objects := $(patsubst %.c,$(B)/efi/$(1)/%.o,$(2))
$(1)_hosted_objects := $(patsubst %.c,$(B)/obj/$(1)/%.o,$(2))
$(B)/efi/$(1)/%.o: $(B)/src/$(1)/.complete crypto/module.mk crypto/mbedtls/config.h Makefile
	$$(call say,CC-EFI,$(1)/$$*.c)mkdir -p $$(@D) && $$(CC) $$(CPPFLAGS) $$(EFI_CFLAGS) -w $(3) -c $(B)/src/$(1)/$$*.c -o $$@
$(B)/obj/$(1)/%.o: $(B)/src/$(1)/.complete crypto/module.mk crypto/mbedtls/config.h Makefile
	$$(call say,CC,$(1)/$$*.c)mkdir -p $$(@D) && $$(CC) $$(CPPFLAGS) $$(HOSTED_CFLAGS) -w $(3) -c $(B)/src/$(1)/$$*.c -o $$@
endef
mbedtls_flags := -I$(mbedtls_src)/library -isystem $(mbedtls_src)/include \
    -DMBEDTLS_CONFIG_FILE='"crypto/mbedtls/config.h"'
$(eval $(call theirs,mbedtls,$(patsubst %,library/%.c,sha1 sha256 sha512 aes aesni ccm cipher cipher_wrap),$(mbedtls_flags)))
# opt.c needs no more than SSE2, which every x86-64 has; ref.c is the same without.
$(eval $(call theirs,argon2,argon2.c core.c encoding.c opt.c blake2/blake2b.c,-DARGON2_NO_THREADS -I$(argon2_src)))
# Of Argon2, firmware gets what argon2_ctx() reaches: the rest writes text, with sprintf.
$(argon2_efi_objects): EFI_CFLAGS += -ffunction-sections -fdata-sections
$(B)/efi/argon2.o: $(argon2_efi_objects)
	$(call say,LD-EFI,$@)$(LD) -r --gc-sections -u argon2_ctx -o $@ $^
third_party_efi_objects := $(mbedtls_efi_objects) $(B)/efi/argon2.o

ours_over_theirs := $(patsubst %.c,$(B)/obj/%.o,$(crypto_efi_sources)) \
    $(patsubst %.c,$(B)/efi/obj/%.o,$(crypto_efi_sources) crypto/argon2.c)
$(ours_over_theirs): CPPFLAGS += $(mbedtls_flags) -isystem $(argon2_src)
$(ours_over_theirs): $(B)/src/mbedtls/.complete $(B)/src/argon2/.complete
efi_backend_hosted_objects := $(mbedtls_hosted_objects) $(argon2_hosted_objects) \
    $(patsubst %.c,$(B)/obj/%.o,$(crypto_efi_sources))

crypto_vectors := $(patsubst %,tests/unit/test_crypto_%.c,vectors vectors_hash vectors_aes vectors_sectors vectors_argon2 json)
$(eval $(call unit,test_crypto_openssl,$(crypto_vectors),-ljson-c))
$(eval $(call unit,test_crypto_mbedtls,$(crypto_vectors),-ljson-c))
$(B)/tests/test_crypto_mbedtls: $(efi_backend_hosted_objects)

# Both back ends in one program: the EFI one, with what is shared over it, is renamed efi_*.
backend_calls := cr_hash_size cr_hash_parts cr_sha256 cr_hmac cr_hkdf_extract cr_hkdf_expand cr_pbkdf2 \
    pbkdf2_library cr_ecb cr_cbc cr_ccm_open cr_xts_unit cr_sectors_init cr_sectors_crypt cr_sectors_wipe \
    sectors_keys_init sectors_keys_free sectors_ivs sectors_xts sectors_cbc cr_argon2 cr_argon2_with argon2_run argon2_ctx
$(B)/obj/crypto/efi_renamed.o: $(efi_backend_hosted_objects) $(patsubst %,$(B)/obj/crypto/%.o,hkdf pbkdf2 sectors argon2)
	$(call say,RENAME,$@)$(LD) -r -o $@.all $^ && \
	    $(OBJCOPY) $(foreach c,$(backend_calls),--redefine-sym $(c)=efi_$(c)) $@.all $@ && rm $@.all
OBJCOPY ?= objcopy
$(eval $(call unit,test_crypto_agree))
$(B)/tests/test_crypto_agree: $(B)/obj/crypto/efi_renamed.o

$(eval $(call unit,test_crypto_primitives,tests/unit/test_crypto_json.c,-ljson-c))
$(eval $(call unit,test_crypto_hpke,tests/unit/test_crypto_json.c,-ljson-c))
$(eval $(call unit,test_crypto_cursor))
$(eval $(call unit,test_crypto_sha256))
$(eval $(call unit,test_crypto_host))

# The firmware library must not ask for more than efi/libc.c and efi/random.c give.
unit_tests += $(B)/tests/efi_symbols
$(B)/tests/efi_symbols: tests/unit/efi_symbols $(B)/lib/libkeyholt-efi.a
	$(Q)mkdir -p $(@D) && cp $< $@
.PHONY: check-efi-symbols
check-efi-symbols: $(B)/tests/efi_symbols
	$(Q)$<
