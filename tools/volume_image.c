/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/volume_image.h"
#include "crypto/host/file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Length of a file or block device: both know it as the place of their end. */
static enum err measure(int fd, uint64_t *ret)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_from_errno(errno);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return ERR_UNSUPPORTED;
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0)
        return err_from_errno(errno);
    *ret = (uint64_t)end;
    return ERR_OK;
}

enum err volume_image_open(const char *path, struct volume_image *ret)
{
    *ret = (struct volume_image){.path = path, .fd = -1, .bad_off = VOLUME_NO_OFF};
    /* O_NONBLOCK: a FIFO in the place of a file must not hold us up. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_from_errno(errno);
    enum err err = measure(fd, &ret->len);
    if (err != ERR_OK) {
        (void)close(fd);
        return err;
    }
    ret->fd = fd;
    return ERR_OK;
}

void volume_image_close(struct volume_image *image)
{
    if (image->fd >= 0)
        (void)close(image->fd);
    image->fd = -1;
}

/* Remember the first place in the image where reading failed, whichever thread meets it. */
static void note_failure(struct volume_image *image, uint64_t off, int error)
{
    uint64_t seen = atomic_load(&image->bad_off);
    while (off < seen)
        if (atomic_compare_exchange_weak(&image->bad_off, &seen, off)) {
            atomic_store(&image->bad_errno, error);
            return;
        }
}

static enum err image_read(void *ctx, uint64_t off, void *buf, size_t len)
{
    struct volume_image *image = ctx;
    if (off > image->len || len > image->len - off) {
        note_failure(image, image->len, 0);
        return ERR_TRUNCATED;
    }
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(image->fd, (uint8_t *)buf + done, len - done, (off_t)(off + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) { /* 0: the file became shorter meanwhile */
            note_failure(image, off + done, n < 0 ? errno : 0);
            return n < 0 ? ERR_IO : ERR_TRUNCATED;
        }
        done += (size_t)n;
    }
    return ERR_OK;
}

struct volume_io volume_image_io(struct volume_image *image)
{
    return (struct volume_io){image_read, image};
}

void volume_image_forget(struct volume_image *image)
{
    atomic_store(&image->bad_off, VOLUME_NO_OFF);
    atomic_store(&image->bad_errno, 0);
}

bool volume_image_is(const struct volume_image *image, const char *path)
{
    struct stat ours, other;
    return image->fd >= 0 && fstat(image->fd, &ours) == 0 && stat(path, &other) == 0 &&
           ours.st_dev == other.st_dev && ours.st_ino == other.st_ino;
}
