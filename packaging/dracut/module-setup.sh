#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Keyholt in an initrd by dracut: takes what the recovery app handed over before systemd-cryptsetup asks, and offers
# the way into recovery when it has asked in vain. crypttab and the kernel's command line stay untouched.

check() {
    require_binaries /usr/libexec/keyholt/handoff || return 1
    return 0
}

depends() {
    echo crypt systemd
}

installkernel() {
    # vfat: the EFI system partition of a disk that came from another computer
    instmods efivarfs vfat nls_cp437 nls_ascii
}

install() {
    inst_binary /usr/libexec/keyholt/handoff
    inst_multiple -o mount modprobe grep sync systemctl
    inst_script "$moddir/keyholt-initrd" /usr/libexec/keyholt/initrd
    inst_simple "$moddir/systemd-cryptsetup.conf" "$systemdsystemunitdir/systemd-cryptsetup@.service.d/keyholt.conf"
    inst_simple "$moddir/keyholt-clean.service" "$systemdsystemunitdir/keyholt-clean.service"
    $SYSTEMCTL -q --root "$initdir" add-wants initrd.target keyholt-clean.service
}
