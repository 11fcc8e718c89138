# SPDX-License-Identifier: GPL-3.0-or-later
"""The laptop's Debian 12 as a directory: base by debootstrap, then made a laptop with the packages under test.

What is Debian's own stays Debian's own: kernel, initramfs-tools, cryptsetup-initramfs, crypttab, systemd.
Left out for the two emulated cores: what only costs time in a test (timers, logind, file system checks, and in
the initramfs the drivers of other people's hardware: MODULES=list).
"""
import glob
import os
import shutil
import subprocess

from tests.laptop import mirror

SUITE = 'bookworm'
PACKAGES = ['systemd-sysv', 'udev', 'linux-image-cloud-amd64', 'initramfs-tools', 'zstd', 'cryptsetup-initramfs',
            'cryptsetup-bin', 'kmod', 'iproute2', 'procps', 'e2fsprogs', 'efibootmgr', 'keyutils',
            # what the Keyholt package needs, so that dpkg -i finds it there
            'libcryptsetup12', 'libjson-c5', 'libcurl4', 'libsqlite3-0', 'libssl3', 'libefivar1', 'libefiboot1',
            'libkeyutils1', 'libcap2', 'libseccomp2', 'libblkid1', 'zlib1g',
            'libtss2-esys-3.0.2-0', 'libtss2-mu0', 'libtss2-sys1', 'libtss2-tctildr0', 'libtss2-tcti-device0', 'tpm-udev']
WITHOUT = ['usr/share/doc', 'usr/share/man', 'usr/share/locale', 'usr/share/info', 'var/cache/apt', 'var/lib/apt/lists']
MODULES = ['virtio_pci', 'virtio_blk', 'virtio_net', 'nvme', 'ext4']
MASKED = ['apt-daily.timer', 'apt-daily-upgrade.timer', 'dpkg-db-backup.timer', 'e2scrub_all.timer', 'fstrim.timer',
          'systemd-tmpfiles-clean.timer', 'e2scrub_reap.service', 'systemd-timesyncd.service',
          'systemd-logind.service', 'getty-static.service', 'systemd-update-utmp.service',
          'systemd-update-utmp-runlevel.service', 'systemd-binfmt.service', 'systemd-pstore.service',
          'proc-sys-fs-binfmt_misc.automount', 'systemd-pcrphase.service', 'systemd-pcrphase-sysinit.service',
          'systemd-sysusers.service', 'systemd-random-seed.service',
          'systemd-initctl.socket', 'systemd-ask-password-console.path',
          'systemd-ask-password-wall.path', 'sys-kernel-debug.mount', 'sys-kernel-tracing.mount',
          'sys-kernel-config.mount', 'dev-hugepages.mount', 'dev-mqueue.mount', 'sys-fs-fuse-connections.mount',
          'modprobe@.service', 'kmod-static-nodes.service']
NO_GENERATORS = ['bless-boot', 'cryptsetup', 'debug', 'gpt-auto', 'hibernate-resume', 'integritysetup', 'rc-local', 'run',
                 'system-update', 'sysv', 'veritysetup']  # cryptsetup: the initramfs has opened the only volume
# udev looks again only at what the initramfs could not finish, not at every device of the emulated board
COLDPLUG = """[Service]
ExecStart=
ExecStart=-udevadm trigger --type=all --action=add --subsystem-match=block --subsystem-match=net \
    --subsystem-match=tpm --subsystem-match=tpmrm --subsystem-match=virtio
ExecStart=-udevadm trigger --action=add --sysname-match=ttyS0
"""
# of dracut: other people's hardware again
DRACUT_WITHOUT = 'i18n network lvm mdraid multipath btrfs dmraid nvdimm plymouth kernel-modules-extra'
ROOT_PASSWORD = 'root'
NETWORK_UNIT = """[Unit]
Description=Address of the virtual laptop's network card
BindsTo=sys-subsystem-net-devices-eth0.device
After=sys-subsystem-net-devices-eth0.device
Before=network.target network-online.target
DefaultDependencies=no

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/ip address add 10.0.2.15/24 dev eth0
ExecStart=/usr/sbin/ip link set eth0 up

[Install]
WantedBy=sys-subsystem-net-devices-eth0.device
"""


class RootfsError(RuntimeError):
    """A step of building the laptop's Debian failed."""


def run(command, **more):
    """Run a program of the host; on failure its last lines become the error."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    if done.returncode:
        tail = done.stdout.decode(errors='replace')[-2000:]
        raise RootfsError(f'{" ".join(command[:6])} …: exit {done.returncode}:\n{tail}')
    return done.stdout.decode(errors='replace')


def debootstrap(tree, log):
    """Debian's minimal system with PACKAGES into the directory tree."""
    with open(log, 'wb') as out:
        # in a mount namespace, where that is allowed: then no /proc stays mounted below the tree after a failure
        done = subprocess.run(_namespace() + ['debootstrap', '--variant=minbase', f'--keyring={mirror.keyring()}',
                               '--include=' + ','.join(PACKAGES), SUITE, tree, mirror.archive(SUITE)],
                              # no initrd yet: it would be thrown away
                              env={**os.environ, 'INITRD': 'No', 'DEBIAN_FRONTEND': 'noninteractive'},
                              stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=1500)
    if done.returncode:
        with open(log, 'rb') as f:
            raise RootfsError(f'debootstrap: exit {done.returncode} ({log}):\n' +
                              f.read()[-1500:].decode(errors='replace'))
    for path in WITHOUT:
        shutil.rmtree(os.path.join(tree, path), ignore_errors=True)


def in_chroot(tree, command, **more):
    """Run a program in the tree; /proc is mounted there, in a mount namespace of its own, where that is allowed."""
    script = 'mount -t proc proc "$0/proc" 2>/dev/null; exec chroot "$0" "$@"'
    namespace = _namespace()
    env = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'DEBIAN_FRONTEND': 'noninteractive', 'LC_ALL': 'C.UTF-8', 'HOME': '/root'}
    if not namespace:
        script = 'exec chroot "$0" "$@"'
    return run(namespace + ['sh', '-c', script, tree] + command, env=env, **more)


def _namespace():
    allowed = subprocess.run(['unshare', '--mount', 'true'], stderr=subprocess.DEVNULL).returncode == 0
    return ['unshare', '--mount'] if allowed else []


def kernel_version(tree):
    versions = sorted(os.listdir(os.path.join(tree, 'usr/lib/modules')))
    if len(versions) != 1:
        raise RootfsError(f'expected one kernel in {tree}, found {versions}')
    return versions[0]


def _write(tree, path, text, mode=0o644):
    full = os.path.join(tree, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, 'w', encoding='utf-8') as f:
        f.write(text)
    os.chmod(full, mode)


def _drop_initrds(tree):
    """So that installing packages updates none; the one that counts is built at the end."""
    for path in glob.glob(os.path.join(tree, 'boot/initrd.img-*')) + glob.glob(f'{tree}/var/lib/initramfs-tools/*'):
        os.unlink(path)


def _mask(tree, directory, names):
    os.makedirs(os.path.join(tree, directory), exist_ok=True)
    for name in names:
        link = os.path.join(tree, directory, name)
        if not os.path.lexists(link):
            os.symlink('/dev/null', link)


def configure(tree, luks_uuid):
    """Make it this laptop: names, disks, network, logins. No initrd is built here."""
    _drop_initrds(tree)
    _write(tree, 'etc/hostname', 'laptop\n')
    _write(tree, 'etc/hosts', '127.0.0.1 localhost\n127.0.1.1 laptop\n10.0.2.100 server\n')
    _write(tree, 'etc/crypttab', f'root UUID={luks_uuid} none luks,discard,initramfs\n')
    _write(tree, 'etc/fstab', '/dev/mapper/root / ext4 rw,relatime 0 0\n'
                              'LABEL=ESP /boot/efi vfat umask=0077,nofail 0 0\n')
    os.makedirs(os.path.join(tree, 'boot/efi'), exist_ok=True)
    _write(tree, 'etc/initramfs-tools/modules', '\n'.join(MODULES) + '\n')
    _write(tree, 'etc/initramfs-tools/conf.d/laptop', 'MODULES=list\nFSTYPE=ext4\nRESUME=none\n')
    _write(tree, 'etc/systemd/system/laptop-network.service', NETWORK_UNIT)
    _write(tree, 'etc/systemd/journald.conf.d/laptop.conf', '[Journal]\nForwardToConsole=no\nStorage=persistent\n')
    _write(tree, 'etc/systemd/system/systemd-udev-trigger.service.d/laptop.conf', COLDPLUG)
    _mask(tree, 'etc/systemd/system', MASKED)
    _mask(tree, 'etc/systemd/system-generators', [f'systemd-{name}-generator' for name in NO_GENERATORS])
    in_chroot(tree, ['systemctl', 'enable', 'laptop-network.service'])
    in_chroot(tree, ['sh', '-c', f'echo root:{ROOT_PASSWORD} | chpasswd'])


def install(tree, debs):
    """Install packages by dpkg -i, in one call."""
    names = []
    for deb in debs:
        name = '/var/tmp/' + os.path.basename(deb)
        shutil.copyfile(deb, tree + name)
        names.append(name)
    if names:
        in_chroot(tree, ['dpkg', '-i'] + names)
    for name in names:
        os.unlink(tree + name)


def build_initrd(tree, maker='initramfs-tools'):
    """An initramfs for the kernel in the tree, by initramfs-tools or dracut; gives (kernel, initrd), paths on the
    host."""
    version = kernel_version(tree)
    initrd = os.path.join(tree, f'boot/initrd.img-{version}')
    if maker == 'dracut':
        in_chroot(tree, ['dracut', '--force', '--no-hostonly', '--no-hostonly-cmdline', '--kver', version, '--add', 'crypt keyholt',
                         '--omit', DRACUT_WITHOUT, '--drivers', ' '.join([*MODULES, 'dm_crypt', 'efivarfs']), '--filesystems', 'ext4',
                         '--include', '/etc/crypttab', '/etc/crypttab', f'/boot/initrd.img-{version}'])
    else:
        in_chroot(tree, ['update-initramfs', '-c', '-k', version])
    return os.path.join(tree, f'boot/vmlinuz-{version}'), initrd
