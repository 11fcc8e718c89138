#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Everything that web, writer, reader, vault and exporter say to each other. A message is a frame (chan.h)
 * whose body is one of the structures of the headers below, beside its put and get. */

#include "escrow-server/process/msg_devices.h"
#include "escrow-server/process/msg_loss.h"
#include "escrow-server/process/msg_store.h"
#include "escrow-server/process/msg_vault.h"

enum msg_type {
    /* web → writer, or reader */
    MSG_ENROLL = 1, /* msg_enroll → MSG_ENROLLED with the certificate, PEM */
    MSG_DEVICE,     /* to the reader: msg_device → MSG_DEVICE_IS with msg_device_is */
    MSG_SYNC,       /* msg_sync → MSG_SYNCED with msg_synced */
    MSG_FIND,       /* to the reader: msg_find → MSG_FOUND with msg_found */
    MSG_DISCLOSED,  /* msg_entry → MSG_DONE with u64: index it, order the rotation; 1: the order waits */
    MSG_BOOTS,      /* to the reader: msg_find → MSG_BOOTS_ARE with msg_boots */
    MSG_TOKEN,      /* msg_token → MSG_DONE */
    /* writer, reader → web */
    MSG_ENROLLED,
    MSG_DEVICE_IS,
    MSG_SYNCED,
    MSG_FOUND,
    MSG_BOOTS_ARE,
    /* web → vault */
    MSG_DISCLOSE, /* msg_disclose → MSG_OPENED with msg_opened */
    MSG_IMPORT,   /* msg_import → MSG_IMPORTED with msg_imported: a foreign chain lies in foreign/HEX.new */
    MSG_SINCE,    /* u64 → MSG_ENTRIES with msg_entries: disclosures from that place on, of every chain */
    MSG_HEARD,    /* msg_heard → MSG_HEARD_IS with u64, enum msg_heard_is: a device's audit head */
    MSG_APPROVE,  /* msg_approve → MSG_WISH_IS with msg_wish: what was approved */
    MSG_ERASE,    /* msg_erase → MSG_DONE with u64: entries whose personal parts are gone */
    /* exporter → vault */
    MSG_EXPORT, /* u64 → MSG_LINES with msg_lines: the log from that entry on */
    /* vault → exporter, which gets MSG_HEAD, too */
    MSG_LINES,
    /* vault → web */
    MSG_OPENED,
    MSG_ENTRIES,
    MSG_IMPORTED,
    MSG_HEARD_IS,
    MSG_HEAD,     /* msg_head, unasked: the audit log grew */
    MSG_VAULT_IS, /* msg_vault_is, unasked: when a channel begins, and on change */
    /* all → web */
    MSG_DONE,
    MSG_FAILED, /* msg_failed */
    /* web → writer, or reader */
    MSG_DEVICES,   /* to the reader: msg_devices → MSG_DEVICES_ARE with msg_devices_are */
    MSG_CHANGE,    /* msg_change → MSG_DONE: what a person decides about a device */
    MSG_ADOPT,     /* msg_adopt → MSG_DONE: a device that the store lost */
    MSG_PROBE,     /* → MSG_PROBED with msg_probed: can the stores be written? */
    MSG_TAKE_BACK, /* u64, a loss's mark → MSG_DONE with msg_taken_back: orders that it made, some at once */
    MSG_LOSSES,    /* msg_losses → MSG_DONE: the windows whose keys are to rotate; all there are */
    /* web → vault */
    MSG_LOSS_WORD, /* msg_loss_word → MSG_DONE with the loss's mark (u64): what a person says of a loss */
    /* writer, reader → web */
    MSG_DEVICES_ARE,
    MSG_PROBED,
    /* web → writer */
    MSG_SEEN, /* msg_seen, unanswered: devices that were here and were told nothing (quiet.h) */
    /* web → reader */
    MSG_FLAGS, /* msg_flags → MSG_FLAGS_ARE with msg_flags_are */
    /* reader → web */
    MSG_FLAGS_ARE,
    /* web → vault */
    MSG_WISH, /* u64 → MSG_WISH_IS with msg_wish: the request that was refused with that entry */
    /* vault → web */
    MSG_WISH_IS,
    MSG_WANTED /* msg_wanted, for MSG_DISCLOSE: refused until a second person approves */
};

#define MSG_STORE_MAX (2u << 20)   /* body, web ↔ writer, reader: 256 records of the largest size */
#define MSG_VAULT_MAX (128u << 10) /* body, web ↔ vault */
