#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual laptop with an initrd by dracut, that is, systemd's own: what the recovery app hands over opens the root
volume before systemd-cryptsetup asks, nothing of it stays, the agent rotates; and after three refused passphrases the way
into recovery is offered. No server. Needs root."""
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.laptop import image, lab
from tests.laptop.lab import Checks, agent, root_volume, status, until_status
from machine import Organisation

WORK = os.path.join(lab.TOP, 'build/laptop/dracut')
ASKED = r'passphrase for disk'
c = Checks()


def boot(laptop):
    laptop.power_on()
    laptop.wait_serial(ASKED, 240)
    laptop.type_serial(lab.PASSPHRASE + '\n')
    lab.log_in(laptop)


def recovery_next(laptop):
    """The firmware starts the app once, as a person would choose it in its menu."""
    laptop.run("number=$(efibootmgr | sed -n 's/^Boot\\([0-9A-F]*\\)\\*\\? Keyholt recovery.*/\\1/p') && efibootmgr -q -n $number")


def password(laptop, made, org):
    """What an envelope in the header yields with the desk's key, the laptop being off."""
    header = lab.header_copy(made, laptop.drives[0].path, f'{WORK}/header')
    key, = [k for k in lab.judge(header, org.key('desk'), org.id)['tokens'] if k['state'] == 'live']
    return key['password'], key['key_id']


def machine():
    made = lab.build(('dracut-core',), 'dracut')
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    org = Organisation(WORK + '/org')
    laptop = image.make_laptop(made, WORK + '/laptop')
    try:
        scenes(laptop, made, org)
    finally:
        laptop.power_cut()


def refuse(laptop):
    """Three wrong passphrases, and the offer."""
    laptop.power_on()
    for _ in range(3):
        laptop.wait_serial(ASKED, 240)
        laptop.type_serial('not this one\n')
    laptop.wait_serial(r'Press r and Enter', 120)


def scenes(laptop, made, org):
    with c.check('protected'):
        boot(laptop)
        lab.put_bundle(laptop, org.bundle(WORK + '/bundle'))
        agent(laptop, 'enroll --bundle /root/bundle')
        laptop.put('/root/pass', lab.PASSPHRASE.encode())
        code, o = agent(laptop, 'protect /dev/vda2 --passphrase-file /root/pass')
        assert code == 0, (code, o)
        boot_state = status(laptop)['boot']
        assert boot_state['recoverable'], boot_state
        recovery_next(laptop)
        lab.power_off(laptop)
    with c.check('handed over: no passphrase is asked for'):
        digits, key_id = password(laptop, made, org)
        laptop.power_on()
        lab.recover(laptop, digits)
        assert 'passphrase for disk' not in laptop.console.text, 'systemd asked'
    with c.check('nothing of it stays'):
        code, found = laptop.shell('ls /sys/firmware/efi/efivars | grep KeyholtShare')
        assert code == 1, found
        said = laptop.run('journalctl -b --no-pager -o cat')
        assert digits not in said and digits.replace('-', '') not in said, 'in the journal'
        assert 'already active' in said, said[-2000:]
    with c.check('and the agent rotates'):
        o = until_status(laptop, 'a new key', lambda o: root_volume(o)['key_id'] not in (None, key_id.upper()))
        assert root_volume(o)['state'] == 'protected', o
        lab.power_off(laptop)
    if not lab.LONG:
        c.skip('the offer after three refused passphrases', 'two more starts; make check-long')
        return
    with c.check('three refused passphrases: the way into recovery is offered, and taken'):
        refuse(laptop)
        laptop.type_serial('r\n')
        shown = laptop.wait_serial(r'ready after \d+ ms', 240).before
        assert 'passphrase' in shown.lower(), shown
    with c.check('declined, it goes on as without us'):
        laptop.power_cut()
        refuse(laptop)
        laptop.type_serial('\n')
        laptop.wait_serial(r'Entering emergency mode', 120)


if __name__ == '__main__':
    sys.exit(c.run(machine))
