/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For PCs: timer channel 2 makes the square wave, port 0x61 lets it through.
 * source: Intel 8254 data sheet (control word); chipset data sheets, NMI_SC register at 0x61 */
#include "efi/speaker.h"
#include "efi/firmware.h"
#include "efi/tones.h"

#define PIT_CHANNEL_2 0x42
#define PIT_CONTROL   0x43
#define PIT_SQUARE    0xb6 /* channel 2, low then high byte, mode 3 */
#define GATE          0x61
#define GATE_OPEN     0x03 /* the timer runs, and is heard */
#define GATE_WRITABLE 0x0f /* what else stands there is read only, to be written as zero */
#define NO_PORT       0xff /* what a port without a device reads as */
#define UNITS_PER_MS  10000
#define WAIT_US       5000

static struct tones playing; /* the timer's; at TPL_CALLBACK only */
static EFI_EVENT timer;
static bool there;
static uint8_t found; /* what the gate was before */
static unsigned heard;

static void out(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void be_silent(void)
{
    out(GATE, (uint8_t)((in(GATE)&GATE_WRITABLE & ~GATE_OPEN) | (found & GATE_OPEN)));
}

static void sound(uint16_t hz)
{
    uint16_t divisor = tones_divisor(hz);
    out(PIT_CONTROL, PIT_SQUARE);
    out(PIT_CHANNEL_2, (uint8_t)divisor);
    out(PIT_CHANNEL_2, (uint8_t)(divisor >> 8));
    out(GATE, (uint8_t)((in(GATE)&GATE_WRITABLE) | GATE_OPEN));
}

static VOID EFIAPI step(EFI_EVENT event, VOID *context)
{
    struct tone tone;
    (void)context;
    if (!tones_next(&playing, &tone)) {
        be_silent();
        return;
    }
    if (tone.hz)
        sound(tone.hz);
    else
        be_silent();
    if (fw.bs->SetTimer(event, TimerRelative, (UINT64)tone.ms * UNITS_PER_MS) != EFI_SUCCESS) {
        playing = (struct tones){.left = 0};
        be_silent();
    }
}

void speaker_open(void)
{
    if (there)
        return;
    found = in(GATE);
    there = found != NO_PORT && fw.bs->CreateEvent(EVT_TIMER | EVT_NOTIFY_SIGNAL, TPL_CALLBACK, step, NULL,
                                                   &timer) == EFI_SUCCESS;
}

static void play(enum sound s)
{
    EFI_TPL before = fw.bs->RaiseTPL(TPL_CALLBACK);
    if (tones_play(&playing, s))
        step(timer, NULL);
    fw.bs->RestoreTPL(before);
}

void speaker_follow(const struct model *m)
{
    if (m->n_sounds == heard)
        return;
    heard = m->n_sounds;
    if (there && !m->quiet)
        play(m->sound);
}

static bool is_playing(void)
{
    EFI_TPL before = fw.bs->RaiseTPL(TPL_CALLBACK);
    bool is = playing.sound != SOUND_NONE;
    fw.bs->RestoreTPL(before);
    return is;
}

void speaker_finish(void)
{
    for (unsigned us = 0; is_playing() && us < TONES_MOST_MS * 1000u; us += WAIT_US)
        fw.bs->Stall(WAIT_US);
    if (!there)
        return;
    fw.bs->SetTimer(timer, TimerCancel, 0);
    playing = (struct tones){.left = 0};
    be_silent();
}
