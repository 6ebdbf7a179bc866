/*  Certificates: CURVE keys with what is said about them, in the format of CZMQ's zcert.

    SPDX-License-Identifier: MPL-2.0

    A certificate is two files. NAME.key holds the public key and may be shown to everyone;
    NAME.key_secret holds both keys and is readable by its owner only. Both are ZPL:

        metadata
            name = "ada"
            principal = "ada"
            role = "caller"                  # zcert has one value for a name; so several are "a,b"
        curve
            public-key = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
            secret-key = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"

    A key is 32 bytes, or 40 characters of Z85 (ZeroMQ RFC 32).

    Source: CZMQ's zcert, pyzmq's zmq.auth; ZeroMQ RFCs 26 (CurveZMQ), 32 (Z85), 4 (ZPL).
    Thread-safety: pure functions of their arguments, but for those that read and write files.
*/

#ifndef RP_CERTIFICATE_H
#define RP_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RP_KEY_SIZE 32u
/*  A key as text, with its NUL.  */
#define RP_KEY_TEXT 41u
#define RP_CERTIFICATE_VALUE_MAX 255u
/*  Largest certificate file, bytes.  */
#define RP_CERTIFICATE_FILE_MAX 65536u
#define RP_CERTIFICATE_REASON_MAX 512u
/*  Largest text that rp_certificate_format writes, bytes.  */
#define RP_CERTIFICATE_TEXT_MAX 2048u

typedef struct {
    uint8_t public_key[RP_KEY_SIZE];
    uint8_t secret_key[RP_KEY_SIZE];
    bool has_secret;
    /*  metadata; "" if missing; others are ignored  */
    char name[RP_CERTIFICATE_VALUE_MAX + 1];
    char principal[RP_CERTIFICATE_VALUE_MAX + 1];
    char roles[RP_CERTIFICATE_VALUE_MAX + 1];   /* with commas */
    char created[RP_CERTIFICATE_VALUE_MAX + 1]; /* ISO 8601, UTC */
    char expires[RP_CERTIFICATE_VALUE_MAX + 1]; /* a date or a time, see below; "": never */
} rp_certificate_t;

/*  Makes a new key pair. False if libzmq was built without CURVE.  */
bool rp_certificate_new (rp_certificate_t *self);

/*  Overwrites the secret key in memory.  */
void rp_certificate_forget (rp_certificate_t *self);

/*  Reads "expires": a date ("2027-01-31": its first second, UTC), or a time
    ("2027-01-31T18:30:00Z"). seconds: since 1970, or INT64_MAX for "". False if text is
    neither.  */
bool rp_certificate_expiry (const char *text, int64_t *seconds);

/*  Reads a certificate's text. False with a reason ("line 3: the public key is not 40 characters of
    Z85"). A mistake counts only in a line that this reader uses: other metadata may be no ZPL,
    because zcert and pyzmq write values with quotes or spaces, and empty values, as they are.  */
bool rp_certificate_parse (
  rp_certificate_t *self, const char *text, size_t size, char reason[RP_CERTIFICATE_REASON_MAX]);

/*  Reads a file, public or secret. A secret one that others can read is refused; a credential
    of systemd ($CREDENTIALS_DIRECTORY) may look readable for its group. False with a reason that
    names the path (and place: "PATH:3:5: …") and what to do.  */
bool rp_certificate_load (
  rp_certificate_t *self, const char *path, char reason[RP_CERTIFICATE_REASON_MAX]);

/*  Writes the text of a certificate; secret: with both keys. Returns its size without the NUL; 0 if
    a value has control characters or both kinds of quotes, which ZPL cannot express.  */
size_t rp_certificate_format (
  const rp_certificate_t *self, bool secret, char text[RP_CERTIFICATE_TEXT_MAX]);

/*  Writes a new file (O_EXCL): secret: both keys, mode 0600; otherwise the public key, mode 0644.
    False with a reason that names the path.  */
bool rp_certificate_save (const rp_certificate_t *self,
  const char *path,
  bool secret,
  char reason[RP_CERTIFICATE_REASON_MAX]);

/*  Z85. Parse returns false if text is no key; 32 zero bytes are none.  */
void rp_key_format (const uint8_t key[RP_KEY_SIZE], char text[RP_KEY_TEXT]);
bool rp_key_parse (uint8_t key[RP_KEY_SIZE], const char *text);

/*  Reads a public key from what a user gave: 40 characters of Z85, or the path of a certificate.
    What could be both is a path if it ends with ".key" and the file is there. False with a
    reason.  */
bool rp_key_find (
  uint8_t key[RP_KEY_SIZE], const char *text, char reason[RP_CERTIFICATE_REASON_MAX]);

#endif
