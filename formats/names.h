#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every name that two programs must agree on. */

/* EFI variables, under one vendor GUID: 6d2f1c8e-4b7a-4e0d-9b53-2a8e5f90c7d1 */
#define KH_EFI_GUID_INIT                                                                                     \
    {                                                                                                        \
        0x6d2f1c8e, 0x4b7a, 0x4e0d,                                                                          \
        {                                                                                                    \
            0x9b, 0x53, 0x2a, 0x8e, 0x5f, 0x90, 0xc7, 0xd1                                                   \
        }                                                                                                    \
    }
#define KH_EFI_GUID_TEXT "6d2f1c8e-4b7a-4e0d-9b53-2a8e5f90c7d1"
#define KH_VAR_PAD       "KeyholtPad"    /* volatile: the random pad */
#define KH_VAR_SHARE     "KeyholtShare"  /* non-volatile: password XOR pad */
#define KH_VAR_REASON    "KeyholtReason" /* non-volatile: why recovery was asked for */
#define KH_VAR_EVENT     "KeyholtEvent"  /* non-volatile: what the recovery app did */
#define KH_VAR_APP       "KeyholtApp"    /* volatile: SHA-256 of the file of the app that ran in this boot */
#define KH_EFIVARS       "/sys/firmware/efi/efivars"

/* On the EFI system partition. */
#define KH_ESP_DIR          "\\EFI\\keyholt"
#define KH_ESP_APP          "\\EFI\\keyholt\\recovery.efi"
#define KH_ESP_APP_PREVIOUS "\\EFI\\keyholt\\recovery-previous.efi"
#define KH_ESP_FALLBACK     "\\EFI\\BOOT\\BOOTX64.EFI" /* what firmware starts when it knows no entry */
#define KH_ESP_ORG          "\\EFI\\keyholt\\org.json"
#define KH_ESP_COMPUTER     "\\EFI\\keyholt\\computer" /* the computer's name, one line of UTF-8 */
#define KH_ESP_DRIVERS      "\\EFI\\keyholt\\drivers"  /* file-system drivers of the organisation's choice */
#define KH_APP_MARK         ",keyholt-recovery,"       /* stands in every build of the app: efi/sbat.S */
#define KH_BOOT_ENTRY       "Keyholt recovery"

/* LUKS2. */
#define KH_TOKEN_TYPE "keyholt"
#define KH_PBKDF2_MIN 1001 /* a recovery keyslot's iteration count lies in this range and in no other */
#define KH_PBKDF2_MAX 2024
/* The agent's own way in, for unattended rotation: its token, and a count in a range of its own. */
#define KH_TOKEN_MANAGEMENT      "keyholt-management"
#define KH_PBKDF2_MANAGEMENT_MIN 2025
#define KH_PBKDF2_MANAGEMENT_MAX 3048

/* Domain separation: what a hash, a signature or a seal is for. */
#define KH_INFO_ENVELOPE   "keyholt envelope v1"
#define KH_INFO_COMMITMENT "keyholt commitment v1"

/* Kernel key of type "user" that the hand-off leaves: this prefix and the volume UUID in lower case. */
#define KH_KEYRING_PREFIX  "keyholt:"
#define KH_KEYRING_SECONDS 600

/* Places, below --root. */
#define KH_ETC           "/etc/keyholt"
#define KH_ORG_DIR       "/etc/keyholt/org"
#define KH_AGENT_STATE   "/var/lib/keyholt/agent"
#define KH_COURIER_STATE "/var/lib/keyholt/courier"
#define KH_SERVER_STATE  "/var/lib/keyholt/server"
#define KH_DESK_STATE    "/var/lib/keyholt/desk"
#define KH_RUN           "/run/keyholt"
#define KH_KEEPER_SOCK   "/run/keyholt/keeper.sock"
#define KH_COURIER_SOCK  "/run/keyholt/courier.sock"
#define KH_SERVER_SOCK   "/run/keyholt/server.sock"
#define KH_METRICS_SOCK  KH_RUN "/metrics.sock"
#define KH_LIBEXEC       "/usr/libexec/keyholt"

/* Exit codes of every command. */
enum kh_exit { KH_EXIT_OK = 0, KH_EXIT_FAILED = 1, KH_EXIT_USAGE = 2, KH_EXIT_NO = 3, KH_EXIT_QUEUED = 4 };

/* Why somebody was sent to recovery (KeyholtReason), and what a boot event says. Wire values. */
enum kh_reason {
    KH_REASON_UNKNOWN = 1,
    KH_REASON_PASSPHRASE = 2, /* wrong passphrases at the initramfs prompt */
    KH_REASON_TPM = 3,        /* the TPM did not release the key */
    KH_REASON_USER = 4,       /* the user asked for it */
    KH_REASON_HELPDESK = 5    /* the help desk asked for it */
};

/* Why a recovery password was made. Wire values. */
enum kh_cause {
    KH_CAUSE_PROTECT = 1,   /* the volume's first */
    KH_CAUSE_USED = 2,      /* the one before was typed at boot, or authorised a change */
    KH_CAUSE_DISCLOSED = 3, /* a server showed the one before to a person */
    KH_CAUSE_COMMAND = 4,   /* a person asked for it */
    KH_CAUSE_SCHEDULE = 5,  /* the one before was old enough */
    KH_CAUSE_DRIFT = 6      /* the one before was not any more what had been proved */
};
