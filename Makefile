# Keyholt: one Makefile for all; each folder lists its files in module.mk (the list is documentation).
#   make          everything under build/                make help   these lines
#   make unit     unit tests                             make check  unit tests, tests on real parts, the story
#   make demo     the story, told                        make deb    the Debian packages
#   make lint     layout and static analysis             make format lay out by clang-format
#   make bench    speed beside peers (bench-large: more) make fuzz   every decoder, 60 s each
#   make sign KEY=FILE CERT=FILE   sign the recovery app for Secure Boot
#   make clean    remove build/                          V=1         show the commands
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.PHONY: all help check unit demo deb lint format clean fetch fuzz
all:

VERSION := 0.1.0
B := build
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(2)';)

comma := ,
CC ?= cc
ifeq ($(origin CC),default)
CC := gcc
endif
WARN := -Wall -Wextra -Wshadow -Wconversion -Wvla -Wmissing-prototypes -Wcast-qual -Wwrite-strings -Wformat=2 \
        -Wno-sign-conversion -Werror
CPPFLAGS += -I. -D_GNU_SOURCE -DKEYHOLT_VERSION='"$(VERSION)"'
CFLAGS ?= -O2 -g
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE -fno-plt
HOSTED_CFLAGS = -std=gnu11 $(CFLAGS) $(HARDEN) $(WARN) -MMD -MP
LDFLAGS += -pie -Wl,-z,relro,-z,now,--as-needed

# hosted object
$(B)/obj/%.o: %.c Makefile
	$(call say,CC,$<)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(HOSTED_CFLAGS) $(EXTRA_CFLAGS) -c $< -o $@

# EFI object: freestanding, no red zone, no stack protector; string.h and friends come from efi/libc
EFI_CFLAGS = -std=gnu11 -O2 -ffreestanding -fshort-wchar -mno-red-zone -fno-stack-protector -fpic -fno-builtin \
    -maccumulate-outgoing-args -DGNU_EFI_USE_MS_ABI -DKEYHOLT_EFI $(WARN) -MMD -MP -isystem /usr/include/efi \
    -isystem /usr/include/efi/x86_64
$(B)/efi/obj/%.o: %.c Makefile
	$(call say,CC-EFI,$<)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(EFI_CFLAGS) -c $< -o $@

# $(call program,target under build/,sources,libraries): a hosted program over libkeyholt
define program
all: $(B)/$(1)
$(B)/$(1): $(patsubst %.c,$(B)/obj/%.o,$(2)) $(B)/lib/libkeyholt.a
	$$(call say,LD,$$@)mkdir -p $$(@D) && $$(CC) $$(LDFLAGS) -o $$@ $(patsubst %.c,$(B)/obj/%.o,$(2)) $(B)/lib/libkeyholt.a $(3) -largon2 -lcrypto
hosted_sources += $(2)
endef

# $(call unit,name,extra sources,libraries): tests/unit/NAME.c, a cmocka program
define unit
unit_tests += $(B)/tests/$(1)
$(B)/tests/$(1): $(B)/obj/tests/unit/$(1).o $(patsubst %.c,$(B)/obj/%.o,$(2)) $(B)/lib/libkeyholt.a
	$$(call say,LD,$$@)mkdir -p $$(@D) && $$(CC) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) $(B)/lib/libkeyholt.a $(3) -lcmocka -largon2 -lcrypto
hosted_sources += tests/unit/$(1).c
endef

include crypto/module.mk
include formats/module.mk
include efi/module.mk
include agent/module.mk
include escrow-server/module.mk
include tools/module.mk
include tests/module.mk
include packaging/module.mk

lib_objects := $(patsubst %.c,$(B)/obj/%.o,$(crypto_sources) $(crypto_hosted_sources) $(formats_sources) $(formats_hosted_sources))
$(B)/lib/libkeyholt.a: $(lib_objects)
	$(call say,AR,$@)mkdir -p $(@D) && rm -f $@ && $(AR) rcs $@ $^

# both worlds' code and the EFI back end; third_party_efi_objects comes from crypto/module.mk
$(B)/lib/libkeyholt-efi.a: $(patsubst %.c,$(B)/efi/obj/%.o,$(crypto_sources) $(crypto_efi_sources) $(formats_sources)) $(third_party_efi_objects)
	$(call say,AR,$@)mkdir -p $(@D) && rm -f $@ && $(AR) rcs $@ $^

c_files = $(shell git ls-files '*.c' '*.h')
format:
	$(Q)clang-format -i $(c_files)
# cppcheck: firmware code has 16-bit wide characters, which it cannot be told; an output parameter is no input
lint:
	$(Q)clang-format --dry-run -Werror $(c_files)
	$(Q)cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr --enable=warning,portability -I. -D__x86_64__ \
	    --suppress=missingInclude --suppress=ctuuninitvar \
	    $(filter-out efi/% tests/efi/% crypto/mbedtls/%,$(filter %.c,$(c_files)))
help:
	@sed -n '2,9s/^#//p' Makefile
# the virtual laptop's files belong to many users
clean:
	$(Q)rm -rf $(B) 2>/dev/null || sudo rm -rf $(B)

-include $(shell find $(B)/obj $(B)/efi -name '*.d' 2>/dev/null)
