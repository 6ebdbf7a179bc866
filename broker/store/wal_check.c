/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/wal_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/cursor.h"

#define S_MAGIC 0x377f0682u /* and 1: words are big-endian */
#define S_HEADER 32u
#define S_FRAME 24u
#define S_PAGE_MAX 65536u

typedef struct {
    uint32_t one;
    uint32_t other;
} s_sum_t;

typedef struct {
    int descriptor;
    uint64_t size;
    bool big;
    uint32_t page;
    uint8_t salt[8];
    s_sum_t sum; /* of the header */
    uint8_t frame[S_FRAME + S_PAGE_MAX];
} s_log_t;

static uint32_t s_number (const uint8_t *bytes, bool big)
{
    return big ? rp_get_u32 (bytes)
               : (uint32_t) bytes[3] << 24 | (uint32_t) bytes[2] << 16 | (uint32_t) bytes[1] << 8
                   | bytes[0];
}

static s_sum_t s_add (s_sum_t sum, const uint8_t *bytes, size_t size, bool big)
{
    for (size_t at = 0; at < size; at += 8) {
        sum.one += s_number (bytes + at, big) + sum.other;
        sum.other += s_number (bytes + at + 4, big) + sum.one;
    }
    return sum;
}

static s_sum_t s_stored (const uint8_t *bytes)
{
    return (s_sum_t){.one = s_number (bytes, true), .other = s_number (bytes + 4, true)};
}

static bool s_is_same (s_sum_t one, s_sum_t other)
{
    return one.one == other.one && one.other == other.other;
}

/*  False at the end of the file, or with errno.  */
static bool s_read (const s_log_t *self, uint8_t *bytes, size_t size, uint64_t at)
{
    errno = 0;
    while (size > 0) {
        ssize_t got = pread (self->descriptor, bytes, size, (off_t) at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        bytes += got;
        at += (uint64_t) got;
        size -= (size_t) got;
    }
    return true;
}

static bool s_read_header (s_log_t *self)
{
    uint8_t header[S_HEADER];
    if (!s_read (self, header, sizeof header, 0))
        return false;
    uint32_t magic = s_number (header, true);
    self->big = magic & 1;
    self->page = s_number (header + 8, true);
    memcpy (self->salt, header + 16, sizeof self->salt);
    self->sum = s_add ((s_sum_t){0}, header, 24, self->big);
    return (magic & ~1u) == S_MAGIC && s_is_same (self->sum, s_stored (header + 24))
           && self->page >= 512 && self->page <= S_PAGE_MAX && (self->page & (self->page - 1)) == 0;
}

/*  Looks at all frames. Each sum goes on from the one before, so a frame can be checked by the sum that
    is stored in the one before it, though that one be damaged.  */
static rp_wal_state_t s_check_frames (s_log_t *self, uint64_t *at)
{
    s_sum_t before = self->sum;
    bool torn = false;
    bool ended = false; // after the torn frame, or with it, a transaction was committed
    uint64_t step = S_FRAME + self->page;
    for (uint64_t place = S_HEADER; self->size - place >= step; place += step) {
        if (!s_read (self, self->frame, step, place))
            return errno ? RP_WAL_UNREAD : RP_WAL_SOUND;
        bool salted = memcmp (self->frame + 8, self->salt, sizeof self->salt) == 0;
        s_sum_t sum = s_add (before, self->frame, 8, self->big);
        sum = s_add (sum, self->frame + S_FRAME, self->page, self->big);
        before = s_stored (self->frame + 16);
        bool sound = salted && s_is_same (sum, before);
        if (torn && sound && ended)
            return RP_WAL_DAMAGED;
        if (!sound && !torn) {
            torn = true;
            *at = place;
        }
        if (torn && s_number (self->frame + 4, true) != 0)
            ended = true;
    }
    return RP_WAL_SOUND;
}

static rp_wal_state_t s_check (s_log_t *self, uint64_t *at)
{
    struct stat status;
    if (fstat (self->descriptor, &status) != 0)
        return RP_WAL_UNREAD;
    self->size = (uint64_t) status.st_size;
    // The header is synced before the first frame is written.
    if (self->size < S_HEADER + S_FRAME)
        return RP_WAL_SOUND;
    *at = 0;
    if (!s_read_header (self))
        return errno ? RP_WAL_UNREAD : RP_WAL_DAMAGED;
    return s_check_frames (self, at);
}

rp_wal_state_t rp_wal_check (const char *path, uint64_t *at)
{
    s_log_t *self = malloc (sizeof *self);
    if (!self)
        return RP_WAL_UNREAD;
    rp_wal_state_t state;
    self->descriptor = open (path, O_RDONLY | O_CLOEXEC);
    if (self->descriptor < 0) {
        state = errno == ENOENT ? RP_WAL_SOUND : RP_WAL_UNREAD;
    }
    else {
        state = s_check (self, at);
        int error = errno;
        close (self->descriptor);
        errno = error;
    }
    free (self);
    return state;
}
