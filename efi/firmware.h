#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The firmware's tables and the few services that everything in efi/ needs: memory, time, connecting. */

#include "crypto/err.h"
#include <efi.h>
#include <stddef.h>
#include <stdint.h>

/* One program, one firmware: set once by firmware_init(), read by all. */
struct firmware {
    EFI_HANDLE image;
    EFI_SYSTEM_TABLE *st;
    EFI_BOOT_SERVICES *bs;
    EFI_RUNTIME_SERVICES *rt;
    EFI_LOADED_IMAGE *self; /* how and from where we were loaded */
    uint64_t started;       /* time stamp counter at the start */
};
extern struct firmware fw;

/* Take over the tables, stop the 5-minute watchdog. err: what finding our own image says */
MUST_CHECK enum err firmware_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

/* The one place where EFI_STATUS becomes ours. */
enum err err_from_efi(EFI_STATUS s);

/* Pool memory, zeroed; NULL when there is none. firmware_free takes NULL. */
void *firmware_alloc(size_t len);
void firmware_free(void *p);

/* All handles that have a protocol, in pool memory that the caller frees; n = 0 when there are none. */
EFI_HANDLE *firmware_handles(const EFI_GUID *protocol, UINTN *ret_n);
/* Interface of a protocol on a handle, or NULL. */
void *firmware_protocol(EFI_HANDLE handle, const EFI_GUID *protocol);

/* Connect drivers to what may hold disks: firmware connects only the devices of its boot order.
 * cost: a few milliseconds for each mass-storage and USB controller */
void firmware_connect_storage(void);
/* Connect everything there is. cost: about 0.25 s for 185 handles */
void firmware_connect_all(void);

uint64_t firmware_ticks(void);
/* Milliseconds since firmware_init(). cost: the first call measures the counter for 5 ms */
uint64_t firmware_uptime_ms(void);
/* Seconds UTC by the firmware's clock, 0 when it has none. */
uint64_t firmware_time(void);
void firmware_power_off(void) __attribute__((noreturn));
void firmware_restart(void) __attribute__((noreturn));
