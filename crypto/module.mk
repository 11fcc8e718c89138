# SPDX-License-Identifier: GPL-3.0-or-later
# crypto/: primitives behind one interface. Both worlds:
crypto_sources := crypto/err.c crypto/secret.c crypto/cursor.c crypto/hkdf.c crypto/pbkdf2.c crypto/sectors.c \
    crypto/sha256.c crypto/sha256_scalar.c crypto/sha256_ni.c
# Hosted back end, and what only hosted programs need:
crypto_hosted_sources := crypto/openssl/hash.c crypto/openssl/aes.c crypto/openssl/aead.c crypto/openssl/sectors.c crypto/openssl/random.c \
    crypto/openssl/p256.c crypto/openssl/p256_sign.c crypto/openssl/p256_pem.c crypto/hpke.c \
    crypto/host/process.c crypto/host/secret_file.c crypto/host/file.c crypto/host/no_passphrase.c
# EFI back end:
crypto_efi_sources := crypto/mbedtls/hash.c crypto/mbedtls/pbkdf2.c crypto/mbedtls/aes.c crypto/mbedtls/sectors.c \
    crypto/mbedtls/wipe.c

# Third-party sources of the EFI program: Debian's source packages, pinned in crypto/mbedtls/fetch.
mbedtls_src := $(B)/src/mbedtls
qrcodegen_src := $(B)/src/qrcodegen/c
fetch: $(B)/src/mbedtls/.complete $(B)/src/qrcodegen/.complete
$(B)/src/%/.complete: crypto/mbedtls/fetch
	$(call say,FETCH,$*)crypto/mbedtls/fetch $(B)/src $*

# Theirs is compiled with our flags but for the warnings.
mbedtls_library := sha1 sha256 sha512 aes aesni ccm cipher cipher_wrap
mbedtls_flags := -I$(mbedtls_src)/library -isystem $(mbedtls_src)/include \
    -DMBEDTLS_CONFIG_FILE='"crypto/mbedtls/config.h"'
mbedtls_efi_objects := $(patsubst %,$(B)/efi/mbedtls/%.o,$(mbedtls_library))
$(mbedtls_efi_objects): $(B)/efi/mbedtls/%.o: $(B)/src/mbedtls/.complete crypto/mbedtls/config.h Makefile
	$(call say,CC-EFI,mbedtls/$*.c)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(EFI_CFLAGS) -w $(mbedtls_flags) -c $(mbedtls_src)/library/$*.c -o $@
$(patsubst %.c,$(B)/efi/obj/%.o,$(crypto_efi_sources)): CPPFLAGS += $(mbedtls_flags)
$(patsubst %.c,$(B)/efi/obj/%.o,$(crypto_efi_sources)): $(B)/src/mbedtls/.complete

# The same back end built hosted, so that both run the same vectors.
mbedtls_hosted_objects := $(patsubst %,$(B)/obj/mbedtls/%.o,$(mbedtls_library)) \
    $(patsubst %.c,$(B)/obj/%.o,$(crypto_efi_sources))
$(B)/obj/mbedtls/%.o: $(B)/src/mbedtls/.complete crypto/mbedtls/config.h Makefile
	$(call say,CC,mbedtls/$*.c)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(HOSTED_CFLAGS) -w $(mbedtls_flags) -c $(mbedtls_src)/library/$*.c -o $@
$(patsubst %.c,$(B)/obj/%.o,$(crypto_efi_sources)): CPPFLAGS += $(mbedtls_flags)
$(patsubst %.c,$(B)/obj/%.o,$(crypto_efi_sources)): $(B)/src/mbedtls/.complete

crypto_vectors := $(patsubst %,tests/unit/test_crypto_%.c,vectors vectors_hash vectors_aes vectors_sectors json)
$(eval $(call unit,test_crypto_openssl,$(crypto_vectors),-ljson-c))
$(eval $(call unit,test_crypto_mbedtls,$(crypto_vectors),-ljson-c))
$(B)/tests/test_crypto_mbedtls: $(mbedtls_hosted_objects)

# Both back ends in one program: the mbedTLS one, with what is shared over it, is renamed efi_*.
backend_calls := cr_hash_size cr_hash_parts cr_sha256 cr_hmac cr_hkdf_extract cr_hkdf_expand cr_pbkdf2 \
    pbkdf2_library cr_ecb cr_cbc cr_ccm_open cr_xts_unit cr_sectors_init cr_sectors_crypt cr_sectors_wipe \
    sectors_keys_init sectors_keys_free sectors_ivs sectors_xts sectors_cbc
$(B)/obj/crypto/efi_renamed.o: $(mbedtls_hosted_objects) $(B)/obj/crypto/hkdf.o $(B)/obj/crypto/pbkdf2.o $(B)/obj/crypto/sectors.o
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
