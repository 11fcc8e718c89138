/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as the file of a wrapped TPM object; the seeds, in hexadecimal, are from a real one. */
#include "agent/tpm/tpm_blob.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

static const char key[] =
    "4B48540101000000000B26D5EC558688BAD08BED617B9F3DB2D91248110B35FAE1D26CA4BB49EB00F805040121DDCD06"
    "FA1BCA7E707268BEC60C4E46DB937748DB2274F4D36D5006E59A425BC0BD6A803385AD596AAC20C9FBBBF44D0F2760C7"
    "053341A18E2692560F22C95A0000580023000B00040472000000100018000B0003001000200121DDCD06FA1BCA7E7072"
    "68BEC60C4E46DB937748DB2274F4D36D5006E59A4200205BC0BD6A803385AD596AAC20C9FBBBF44D0F2760C7053341A1"
    "8E2692560F22C98000007E00202AD2909DF0277FD0E94C90A7BD2BEF4B3EBA5260410C9A89DB33B9B213EDB2B3001045"
    "E3418EA64335512C16168BEEC0A55CBD50BF0364077AC00D3575521CD86A733162BB33135855AF1C718D6B9CD393B6A9"
    "BCCE4E1302B3BA6070C0EBEBCB1AF99BF9B5B7FCC931A42DC57D19585E5A5F8B0EE8F8BAB4EA0D9B3E";
static const char sealed[] =
    "4B48540102000000000B26D5EC558688BAD08BED617B9F3DB2D91248110B35FAE1D26CA4BB49EB00F8053000002E0008"
    "000B000004520000001000204291C9261895A032F84CC31CF4FA22E2039D6FD2415271FAABA9919B3D476ADCB00000AE"
    "0020284FE29511A88BC8DC722733DE0376CCBEEA9E6B5163C8C8F1D17C1B37102AE000108CB6A453466C10F1C1A738A4"
    "EC35A303A9BE680DB33C90B8A1E3CBD9750C08F710C03B24359CCD43C155EFE7E489FA64FD2AF517691983FA09DD0BBE"
    "FB08C2EA378C5915EA359E74ED20E16EE5566A0D5F62C100483043F9139323DA83E9B006B3EBB2BD2D1C139D481DFE85"
    "2AA964E23FECD40C3B87F6A406BAC0C8D16EEF40877848254B04F8362EF4";
const char *const fuzz_seeds[] = {key, sealed, NULL};
const char *const fuzz_words[] = {"4B485401", "0000", "FFFF", "0200", "0100", "01", "02", NULL};

static size_t bytes_of(const uint8_t *data, size_t len, uint8_t *ret)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        const char *d = data[i] ? strchr(digits, data[i]) : NULL;
        if (!d)
            continue;
        ret[n / 2] = (uint8_t)(ret[n / 2] << 4 | (d - digits));
        n++;
    }
    return n / 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct tpm_blob b;
    uint8_t *in = calloc(1, len / 2 + 1), out[TPM_BLOB_MAX];
    size_t out_len = 0;
    if (!in)
        abort();
    len = bytes_of(data, len, in);
    /* what was taken is written as the same bytes */
    if (tpm_blob_decode(in, len, &b) == ERR_OK &&
        (tpm_blob_encode(&b, out, &out_len) != ERR_OK || out_len != len || memcmp(in, out, len) != 0))
        abort();
    free(in);
    return 0;
}
