/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Generations for revocation, read by shim. source: SBAT.md of rhboot/shim. Raise the second number of our line when
 * a hole is closed through which an older app could undo Secure Boot. The agent knows our builds by KH_APP_MARK. */
    .section .sbat, "a", @progbits
    .balign 4096
    .ascii "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"
    .ascii "keyholt,1,Keyholt,keyholt-recovery,"
    .ascii KEYHOLT_VERSION
    .ascii ",SECURITY.md\n"
