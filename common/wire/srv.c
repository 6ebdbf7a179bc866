/*  SPDX-License-Identifier: MPL-2.0

    A message of the DNS (RFC 1035, section 4): a head of 12 bytes; questions, which are skipped; answers.
*/

#include "common/wire/srv.h"

#include <string.h>

#include "common/base/random.h"

#define S_HEAD 12u
#define S_LABEL_MAX 63u
/*  Of a name, more is a ring.  */
#define S_JUMPS_MAX 64u
/*  Bytes of a name at most, its labels' sizes and its end included (RFC 1035, section 2.3.4).  */
#define S_NAME_MAX 255u

typedef struct {
    const uint8_t *data;
    size_t size;
    size_t at;
    bool good;
} s_reader_t;

static bool s_has (s_reader_t *self, size_t size)
{
    self->good = self->good && size <= self->size - self->at;
    return self->good;
}

static void s_skip (s_reader_t *self, size_t size)
{
    if (s_has (self, size))
        self->at += size;
}

static uint16_t s_number (s_reader_t *self)
{
    if (!s_has (self, 2))
        return 0;
    const uint8_t *at = self->data + self->at;
    self->at += 2;
    return (uint16_t) (at[0] << 8 | at[1]);
}

/*  Adds a label to a name that is being written; size: so far. Returns its new size, or 0 if it is too long
    or has a character that no host has.  */
static size_t s_add_label (char *name, size_t size, const uint8_t *label, size_t label_size)
{
    if (size + label_size + 2 > RP_SRV_HOST_MAX)
        return 0;
    if (size > 0)
        name[size++] = '.';
    for (size_t index = 0; index < label_size; index++) {
        char byte = (char) label[index];
        bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z')
                     || (byte >= 'A' && byte <= 'Z') || byte == '-' || byte == '_';
        if (!plain)
            return 0;
        name[size++] = byte;
    }
    name[size] = '\0';
    return size;
}

/*  Reads a name, of which a part may stand elsewhere in the message. name: of RP_SRV_HOST_MAX bytes, "" if it
    is no host; NULL: skips the name.  */
static void s_name (s_reader_t *self, char *name)
{
    s_reader_t reader = *self;
    bool host = name != NULL;
    size_t size = 0;
    size_t bytes = 1;
    unsigned jumps = 0;
    if (name)
        *name = '\0';
    for (;;) {
        if (!s_has (&reader, 1))
            break;
        size_t label = reader.data[reader.at];
        if (label > S_LABEL_MAX) {
            size_t place = s_number (&reader) & 0x3fffu;
            if (jumps++ == 0)
                self->at = reader.at;
            reader.good =
              reader.good && label >= 0xc0 && place < reader.size && jumps <= S_JUMPS_MAX;
            reader.at = reader.good ? place : reader.at;
            if (!name)
                break;
            continue;
        }
        reader.at++;
        if (label == 0)
            break;
        bytes += 1 + label;
        reader.good = bytes <= S_NAME_MAX;
        if (!s_has (&reader, label))
            break;
        if (host)
            size = s_add_label (name, size, reader.data + reader.at, label);
        host = host && size > 0;
        reader.at += label;
    }
    self->good = reader.good;
    if (jumps == 0)
        self->at = reader.at;
    if (name && !host)
        *name = '\0';
}

static void s_read_record (rp_srv_t *self, s_reader_t *reader)
{
    s_name (reader, NULL);
    uint16_t type = s_number (reader);
    uint16_t class = s_number (reader);
    s_skip (reader, 4); // how long it may be kept: it is looked up anew each time
    uint16_t size = s_number (reader);
    if (!s_has (reader, size))
        return;
    size_t end = reader->at + size;
    if (type == RP_SRV_TYPE && class == RP_SRV_CLASS && self->count < RP_SRV_MAX) {
        rp_srv_record_t *record = &self->records[self->count];
        record->priority = s_number (reader);
        record->weight = s_number (reader);
        record->port = s_number (reader);
        s_name (reader, record->host);
        reader->good = reader->good && reader->at == end;
        if (reader->good && record->port != 0 && record->host[0])
            self->count++;
    }
    reader->at = end;
}

bool rp_srv_read (rp_srv_t *self, const uint8_t *message, size_t size)
{
    s_reader_t reader = {.data = message, .size = size, .good = true};
    self->count = 0;
    s_skip (&reader, 4);
    uint16_t questions = s_number (&reader);
    uint16_t answers = s_number (&reader);
    s_skip (&reader, 4);
    for (; questions > 0 && reader.good; questions--) {
        s_name (&reader, NULL);
        s_skip (&reader, 4);
    }
    for (; answers > 0 && reader.good; answers--)
        s_read_record (self, &reader);
    if (!reader.good)
        self->count = 0;
    return reader.good;
}

/*  A record without weight is chosen seldom beside others, but not never.  */
static uint64_t s_weight (const rp_srv_record_t *record)
{
    return record->weight ? (uint64_t) record->weight << 8 : 1;
}

void rp_srv_order (rp_srv_t *self, uint64_t random)
{
    for (size_t at = 0; at < self->count; at++) {
        uint16_t priority = UINT16_MAX;
        uint64_t all = 0;
        for (size_t index = at; index < self->count; index++)
            if (self->records[index].priority < priority)
                priority = self->records[index].priority;
        for (size_t index = at; index < self->count; index++)
            if (self->records[index].priority == priority)
                all += s_weight (&self->records[index]);
        uint64_t drawn = rp_random (&random) % all;
        size_t chosen = at;
        for (; chosen < self->count; chosen++)
            if (self->records[chosen].priority == priority) {
                if (drawn < s_weight (&self->records[chosen]))
                    break;
                drawn -= s_weight (&self->records[chosen]);
            }
        rp_srv_record_t record = self->records[chosen];
        self->records[chosen] = self->records[at];
        self->records[at] = record;
    }
}
