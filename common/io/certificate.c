/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/io/certificate.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

#include "common/base/zpl.h"
#include "common/io/disk.h"

/*  Five values with names, two keys, and what is around them.  */
_Static_assert(
  5 * (RP_CERTIFICATE_VALUE_MAX + 24) + 2 * (RP_KEY_TEXT + 24) + 128 < RP_CERTIFICATE_TEXT_MAX,
  "text of a certificate");

static bool __attribute__ ((format (printf, 2, 3))) s_refuse (char *reason, const char *format, ...)
{
    va_list list;
    va_start (list, format);
    vsnprintf (reason, RP_CERTIFICATE_REASON_MAX, format, list);
    va_end (list);
    return false;
}

/*  ---- Keys ----------------------------------------------------------------------------------  */

void rp_key_format (const uint8_t key[RP_KEY_SIZE], char text[RP_KEY_TEXT])
{
    // Fails only for sizes that are no multiple of four.
    (void) zmq_z85_encode (text, key, RP_KEY_SIZE);
}

/*  Zeros are what zcert writes in place of a key that is not there.  */
bool rp_key_parse (uint8_t key[RP_KEY_SIZE], const char *text)
{
    static const uint8_t none[RP_KEY_SIZE];
    uint8_t decoded[RP_KEY_SIZE];
    bool good = strnlen (text, RP_KEY_TEXT) == RP_KEY_TEXT - 1 && zmq_z85_decode (decoded, text)
                && memcmp (decoded, none, sizeof none) != 0;
    if (good)
        memcpy (key, decoded, sizeof decoded);
    explicit_bzero (decoded, sizeof decoded);
    return good;
}

bool rp_certificate_new (rp_certificate_t *self)
{
    char public_text[RP_KEY_TEXT];
    char secret_text[RP_KEY_TEXT];
    *self = (rp_certificate_t){0};
    self->has_secret = zmq_curve_keypair (public_text, secret_text) == 0
                       && rp_key_parse (self->public_key, public_text)
                       && rp_key_parse (self->secret_key, secret_text);
    explicit_bzero (secret_text, sizeof secret_text);
    return self->has_secret;
}

void rp_certificate_forget (rp_certificate_t *self)
{
    explicit_bzero (self->secret_key, sizeof self->secret_key);
    self->has_secret = false;
}

/*  True if the two keys are a pair. Also true if libzmq cannot tell because it has no CURVE.  */
static bool s_is_pair (const rp_certificate_t *self)
{
    char public_text[RP_KEY_TEXT];
    char secret_text[RP_KEY_TEXT];
    char derived[RP_KEY_TEXT];
    rp_key_format (self->public_key, public_text);
    rp_key_format (self->secret_key, secret_text);
    bool same = zmq_curve_public (derived, secret_text) != 0 || strcmp (public_text, derived) == 0;
    explicit_bzero (secret_text, sizeof secret_text);
    return same;
}

/*  ---- The text of a certificate -------------------------------------------------------------  */

/*  "2027-01-31", which is its first second, or "2027-01-31T18:30:00Z".  */
static bool s_parse_time (const char *text, int64_t *seconds)
{
    static const char *const formats[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"};
    static const size_t sizes[] = {10, 20};
    for (size_t index = 0; index < 2; index++) {
        struct tm parts = {0};
        char again[32];
        if (strlen (text) != sizes[index])
            continue;
        const char *end = strptime (text, formats[index], &parts);
        time_t time = end && *end == '\0' ? timegm (&parts) : (time_t) -1;
        // A day that no month has becomes one of the next month, and other text.
        if (time > 0 && strftime (again, sizeof again, formats[index], &parts) > 0
            && strcmp (again, text) == 0) {
            *seconds = time;
            return true;
        }
    }
    return false;
}

bool rp_certificate_expiry (const char *text, int64_t *seconds)
{
    *seconds = INT64_MAX;
    return *text == '\0' || s_parse_time (text, seconds);
}

typedef struct {
    const char *path;
    size_t offset;
} s_field_t;

static const s_field_t s_fields[] = {
  {"metadata/name", offsetof (rp_certificate_t, name)},
  {"metadata/principal", offsetof (rp_certificate_t, principal)},
  {"metadata/role", offsetof (rp_certificate_t, roles)},
  {"metadata/created", offsetof (rp_certificate_t, created)},
  {"metadata/expires", offsetof (rp_certificate_t, expires)},
};

#define S_FIELD_COUNT (sizeof s_fields / sizeof *s_fields)
#define S_PUBLIC_KEY "curve/public-key"
#define S_SECRET_KEY "curve/secret-key"

/*  Which lines of a certificate were there; each may be there once.  */
enum { S_HAS_PUBLIC = 1 << S_FIELD_COUNT, S_HAS_SECRET = 2 << S_FIELD_COUNT };

typedef struct {
    rp_certificate_t *certificate;
    const char *text;
    size_t size;
    unsigned seen;
    rp_zpl_place_t place; /* of the first mistake; line 0: none, or of the whole file */
    char message[RP_CERTIFICATE_REASON_MAX / 2]; /* "": no mistake */
} s_reader_t;

static void s_mistake (s_reader_t *self, rp_zpl_place_t place, const char *message)
{
    if (*self->message != '\0')
        return;
    self->place = place;
    snprintf (self->message, sizeof self->message, "%s", message);
}

/*  False after a mistake: the line was there before.  */
static bool s_see (s_reader_t *self, const rp_zpl_item_t *item, unsigned bit)
{
    bool first = (self->seen & bit) == 0;
    self->seen |= bit;
    if (!first)
        s_mistake (self, item->name_at,
          "a line that is there twice; several roles are one value: role = \"a,b\"");
    return first;
}

static void s_take_key (
  s_reader_t *self, const rp_zpl_item_t *item, unsigned bit, uint8_t *key, const char *message)
{
    if (s_see (self, item, bit) && (!item->value || !rp_key_parse (key, item->value)))
        s_mistake (self, item->value_at, message);
}

static void s_take_field (s_reader_t *self, const rp_zpl_item_t *item, size_t index)
{
    char *at = (char *) self->certificate + s_fields[index].offset;
    int64_t unused;
    if (!s_see (self, item, 1u << index))
        return;
    if (!item->value)
        s_mistake (self, item->name_at, "a section where a value is wanted");
    else if (strlen (item->value) > RP_CERTIFICATE_VALUE_MAX)
        s_mistake (self, item->value_at, "a value of more than 255 bytes");
    else if (at == self->certificate->expires && !rp_certificate_expiry (item->value, &unused))
        s_mistake (self, item->value_at,
          "expires is neither a date such as 2027-01-31 nor a time such as 2027-01-31T18:30:00Z");
    else
        memcpy (at, item->value, strlen (item->value) + 1);
}

static void s_item (const rp_zpl_item_t *item, void *arg)
{
    s_reader_t *self = arg;
    for (size_t index = 0; index < S_FIELD_COUNT; index++)
        if (strcmp (item->path, s_fields[index].path) == 0)
            s_take_field (self, item, index);
    if (strcmp (item->path, S_PUBLIC_KEY) == 0)
        s_take_key (self, item, S_HAS_PUBLIC, self->certificate->public_key,
          "the public key is not 40 characters of Z85");
    if (strcmp (item->path, S_SECRET_KEY) == 0)
        s_take_key (self, item, S_HAS_SECRET, self->certificate->secret_key,
          "the secret key is not 40 characters of Z85");
}

/*  True if a line's first word is one that this reader knows: its mistake matters. zcert writes
    values with quotes inside, and pyzmq writes no quotes around them, so other metadata may not be
    strict ZPL.  */
static bool s_is_ours (const s_reader_t *self, size_t number)
{
    static const char *const sections[] = {"metadata", "curve", "public-key", "secret-key"};
    const char *line = self->text;
    const char *end = self->text + self->size;
    while (--number > 0)
        line = (const char *) memchr (line, '\n', (size_t) (end - line)) + 1;
    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    for (size_t index = 0; index < S_FIELD_COUNT + 4; index++) {
        const char *word = index < 4 ? sections[index] : strchr (s_fields[index - 4].path, '/') + 1;
        size_t size = strlen (word);
        if ((size_t) (end - line) >= size && memcmp (line, word, size) == 0)
            return true;
    }
    return false;
}

static void s_error (rp_zpl_place_t place, const char *message, void *arg)
{
    s_reader_t *self = arg;
    if (s_is_ours (self, place.line))
        s_mistake (self, place, message);
}

static void s_read (s_reader_t *self, rp_certificate_t *certificate, const char *text, size_t size)
{
    static const rp_zpl_place_t nowhere;
    *certificate = (rp_certificate_t){0};
    *self = (s_reader_t){.certificate = certificate, .text = text, .size = size};
    rp_zpl_read (text, size, s_item, s_error, self);
    certificate->has_secret = (self->seen & S_HAS_SECRET) != 0;
    if ((self->seen & S_HAS_PUBLIC) == 0)
        s_mistake (self, nowhere,
          "no certificate: it has no public-key in a section \"curve\"; make one: riposte keys new "
          "NAME");
    else if (certificate->has_secret && *self->message == '\0' && !s_is_pair (certificate))
        s_mistake (self, nowhere, "its public key does not belong to its secret key");
    if (*self->message != '\0') {
        rp_certificate_forget (certificate);
        *certificate = (rp_certificate_t){0};
    }
}

bool rp_certificate_parse (
  rp_certificate_t *self, const char *text, size_t size, char reason[RP_CERTIFICATE_REASON_MAX])
{
    s_reader_t reader;
    s_read (&reader, self, text, size);
    if (*reader.message == '\0')
        return true;
    if (reader.place.line == 0)
        return s_refuse (reason, "%s", reader.message);
    return s_refuse (reason, "line %zu: %s", reader.place.line, reader.message);
}

/*  ---- Files ---------------------------------------------------------------------------------  */

/*  The bits of the mode that a secret file must not have. systemd gives a service its credential by
    an ACL where the file system has them, and then the mode shows that as readable by the
    group.  */
static mode_t s_refused_mode (const char *path)
{
    const char *directory = getenv ("CREDENTIALS_DIRECTORY");
    size_t size = directory ? strlen (directory) : 0;
    bool is_credential = size > 1 && strncmp (path, directory, size) == 0 && path[size] == '/'
                         && !strchr (path + size + 1, '/');
    return is_credential ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
}

static bool s_load (
  rp_certificate_t *self, const char *path, char *text, char reason[RP_CERTIFICATE_REASON_MAX])
{
    struct stat status;
    s_reader_t reader;
    ssize_t size = rp_disk_read (path, text, RP_CERTIFICATE_FILE_MAX + 1, &status);
    if (size < 0)
        return s_refuse (reason, "%s: %s", path,
          errno == EFBIG    ? "too large for a certificate"
          : errno == EINVAL ? "not a regular file"
          : errno == ENOENT ? "there is no such file; make one: riposte keys new NAME"
                            : strerror (errno));
    s_read (&reader, self, text, (size_t) size);
    if (*reader.message != '\0' && reader.place.line > 0)
        return s_refuse (
          reason, "%s:%zu:%zu: %s", path, reader.place.line, reader.place.column, reader.message);
    if (*reader.message != '\0')
        return s_refuse (reason, "%s: %s", path, reader.message);
    if (self->has_secret && (status.st_mode & s_refused_mode (path)) != 0) {
        rp_certificate_forget (self);
        return s_refuse (reason,
          "%s: others can read this secret key (mode %04o); if nobody has read it: chmod 600 %s",
          path, (unsigned) status.st_mode & 07777, path);
    }
    return true;
}

bool rp_certificate_load (
  rp_certificate_t *self, const char *path, char reason[RP_CERTIFICATE_REASON_MAX])
{
    *self = (rp_certificate_t){0};
    char *text = malloc (RP_CERTIFICATE_FILE_MAX + 1);
    if (!text)
        return s_refuse (reason, "%s: out of memory", path);
    bool good = s_load (self, path, text, reason);
    explicit_bzero (text, RP_CERTIFICATE_FILE_MAX + 1);
    free (text);
    return good;
}

/*  Writes the name and value of a line. ZPL has no escapes, so a value can have one kind of quotes
    only. False if it cannot be written.  */
static bool s_write_field (FILE *file, const char *name, const char *value)
{
    if (*value == '\0')
        return true;
    for (const char *at = value; *at; at++)
        if ((unsigned char) *at < 32 || *at == 127)
            return false;
    bool has_double = strchr (value, '"') != NULL;
    if (has_double && strchr (value, '\''))
        return false;
    char quote = has_double ? '\'' : '"';
    return fprintf (file, "    %s = %c%s%c\n", name, quote, value, quote) > 0;
}

static bool s_write_text (const rp_certificate_t *self, bool secret, FILE *file)
{
    char key[RP_KEY_TEXT];
    fputs (secret ? "#   Riposte: a secret CURVE certificate. Give it to nobody.\n\nmetadata\n"
                  : "#   Riposte: a public CURVE certificate.\n\nmetadata\n",
      file);
    bool good = true;
    for (size_t index = 0; index < S_FIELD_COUNT; index++)
        good &= s_write_field (file, strchr (s_fields[index].path, '/') + 1,
          (const char *) self + s_fields[index].offset);
    rp_key_format (self->public_key, key);
    fprintf (file, "curve\n    public-key = \"%s\"\n", key);
    if (secret) {
        rp_key_format (self->secret_key, key);
        fprintf (file, "    secret-key = \"%s\"\n", key);
        explicit_bzero (key, sizeof key);
    }
    return good;
}

size_t rp_certificate_format (
  const rp_certificate_t *self, bool secret, char text[RP_CERTIFICATE_TEXT_MAX])
{
    FILE *file = fmemopen (text, RP_CERTIFICATE_TEXT_MAX, "w");
    if (!file)
        return 0;
    setbuf (file, NULL); // no copy of a secret key elsewhere
    bool good = s_write_text (self, secret, file);
    long size = ftell (file);
    good &= ferror (file) == 0;
    good &= fclose (file) == 0;
    return good && size > 0 ? (size_t) size : 0;
}

bool rp_certificate_save (const rp_certificate_t *self,
  const char *path,
  bool secret,
  char reason[RP_CERTIFICATE_REASON_MAX])
{
    char text[RP_CERTIFICATE_TEXT_MAX];
    if (secret && !self->has_secret)
        return s_refuse (reason, "%s: there is no secret key to write", path);
    size_t size = rp_certificate_format (self, secret, text);
    bool good = size > 0 && rp_disk_create (path, secret ? 0600 : 0644, text, size);
    if (size == 0)
        s_refuse (reason, "%s: a value has control characters, or both kinds of quotes", path);
    else if (!good)
        s_refuse (reason, "%s: %s", path,
          errno == EEXIST ? "it exists already; choose another name, or: riposte keys rotate"
                          : strerror (errno));
    explicit_bzero (text, sizeof text);
    return good;
}

bool rp_key_find (
  uint8_t key[RP_KEY_SIZE], const char *text, char reason[RP_CERTIFICATE_REASON_MAX])
{
    rp_certificate_t certificate;
    size_t size = strlen (text);
    bool is_path = size > 4 && strcmp (text + size - 4, ".key") == 0 && access (text, F_OK) == 0;
    if (!is_path && rp_key_parse (key, text))
        return true;
    if (!rp_certificate_load (&certificate, text, reason)) {
        if (access (text, F_OK) != 0)
            s_refuse (reason,
              "%s: neither a key, which is 40 characters of Z85, nor a file; see: riposte keys "
              "show",
              text);
        return false;
    }
    memcpy (key, certificate.public_key, RP_KEY_SIZE);
    rp_certificate_forget (&certificate);
    return true;
}
