#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keeper's side of the probe: starts it, asks it, and gives up on devices that do not answer. */

#include "agent/channel.h"
#include "agent/device/probed.h"
#include "crypto/err.h"
#include <stdbool.h>
#include <sys/types.h>

#define PROBER_DEVICE_MS 8000             /* what one device may cost: a disk that spins up takes seconds */
#define PROBER_FORGET_MS (10 * 60 * 1000) /* so long a device that did not answer is not asked again */

struct prober {
    struct channel channel; /* closed while no probe runs */
    pid_t pid;
};

#define PROBER_CLOSED                                                                                        \
    {                                                                                                        \
        .channel.fd = -1                                                                                     \
    }

/* Look at one device. The probe is started when none runs.
 * ret: always filled; its err is TIMEOUT for a device that did not answer (now, or a short while ago),
 * INTERNAL when no probe can be started or it died of what it read */
void prober_ask(struct prober *p, const char *device, bool disk, struct probed *ret);
/* Let it end; it holds memory and is not needed between two looks. */
void prober_close(struct prober *p);
