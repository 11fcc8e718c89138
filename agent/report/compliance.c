/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/report/compliance.h"

static const struct {
    const char *name, *text;
} reasons[COMPLIANCE_REASONS] = {
    {"unencrypted", "it is not encrypted"},
    {"partly-encrypted", "some of the disks that it lies on are not encrypted"},
    {"suspended", "its protection is suspended: whoever has the disk can open it"},
    {"converting", "its encryption is under way"},
    {"luks1", "it is LUKS1, which has no place for a sealed password"},
    {"other-encryption", "it is encrypted in a way that has no recovery password"},
    {"not-protected", "the organisation has no recovery password for it"},
    {"needs-unlock-secret", "a recovery password that is known to somebody waits to be replaced"},
    {"not-verified", "its recovery key is not what was proved to open it"},
    {"no-answer", "it could not be looked at"},
    {"header-destroyed", "its header is destroyed, so that nothing opens it"},
};

static unsigned number(unsigned reason)
{
    unsigned n = 0;
    while (n + 1 < COMPLIANCE_REASONS && !(reason >> n & 1))
        n++;
    return n;
}

const char *compliance_name(unsigned reason)
{
    return reasons[number(reason)].name;
}

const char *compliance_text(unsigned reason)
{
    return reasons[number(reason)].text;
}

static bool is_wanted(const struct policy *p, uint8_t kind)
{
    static const uint8_t bit[] = {[KIND_OS] = POLICY_ENCRYPT_OS,
                                  [KIND_FIXED] = POLICY_ENCRYPT_FIXED,
                                  [KIND_REMOVABLE] = POLICY_ENCRYPT_REMOVABLE};
    return kind >= KIND_OS && kind <= KIND_REMOVABLE && (p->encrypt & bit[kind]);
}

static unsigned of_keys(const struct compliance_facts *f)
{
    unsigned r = 0;
    if (!f->protected_)
        return REASON_NOT_PROTECTED;
    if (f->needs_secret)
        r |= REASON_NEEDS_SECRET;
    if (!f->verified)
        r |= REASON_NOT_VERIFIED;
    return r;
}

unsigned compliance_judge(const struct policy *p, const struct compliance_facts *f)
{
    unsigned r = (f->suspended ? REASON_SUSPENDED : 0u) | (f->converting ? REASON_CONVERTING : 0u) |
                 (f->unreadable ? REASON_NO_ANSWER : 0u);
    if (!is_wanted(p, f->kind) || f->boot)
        return 0;
    switch (f->class) {
    case SEEN_UNENCRYPTED:
        return f->part_clear ? REASON_PARTLY_ENCRYPTED : REASON_UNENCRYPTED;
    case SEEN_LUKS1:
        return r | REASON_LUKS1;
    case SEEN_OTHER_CRYPT:
        return REASON_OTHER_CRYPT;
    case SEEN_LUKS2:
        if (f->destroyed)
            return REASON_DESTROYED;
        return r | of_keys(f);
    case SEEN_BITLOCKER:
        return r | of_keys(f);
    default:
        return 0;
    }
}
