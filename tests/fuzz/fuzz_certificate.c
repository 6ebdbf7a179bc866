/*  Fuzzes certificates: any text ends in a certificate that can be written and read again, or in a
    reason.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdint.h>
#include <string.h>

#include "common/base/check.h"
#include "common/io/certificate.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/*  A value with both kinds of quotes cannot be written; there must be no other reason.  */
static bool s_has_both_quotes (const char *text)
{
    return strchr (text, '"') && strchr (text, '\'');
}

static void s_write_and_read (const rp_certificate_t *certificate)
{
    char text[RP_CERTIFICATE_TEXT_MAX];
    char reason[RP_CERTIFICATE_REASON_MAX];
    rp_certificate_t again;
    size_t size = rp_certificate_format (certificate, certificate->has_secret, text);
    if (size == 0) {
        RP_CHECK (
          s_has_both_quotes (certificate->name) || s_has_both_quotes (certificate->principal)
          || s_has_both_quotes (certificate->roles) || s_has_both_quotes (certificate->created));
        return;
    }
    RP_CHECK (rp_certificate_parse (&again, text, size, reason));
    RP_CHECK (memcmp (certificate->public_key, again.public_key, RP_KEY_SIZE) == 0);
    RP_CHECK (memcmp (certificate->secret_key, again.secret_key, RP_KEY_SIZE) == 0);
    RP_CHECK (certificate->has_secret == again.has_secret);
    RP_CHECK (strcmp (certificate->name, again.name) == 0);
    RP_CHECK (strcmp (certificate->principal, again.principal) == 0);
    RP_CHECK (strcmp (certificate->roles, again.roles) == 0);
    RP_CHECK (strcmp (certificate->created, again.created) == 0);
    RP_CHECK (strcmp (certificate->expires, again.expires) == 0);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    rp_certificate_t certificate;
    char reason[RP_CERTIFICATE_REASON_MAX] = "";
    if (rp_certificate_parse (&certificate, (const char *) data, size, reason)) {
        RP_CHECK (*reason == '\0');
        s_write_and_read (&certificate);
        return 0;
    }
    static const rp_certificate_t empty;
    RP_CHECK (*reason != '\0' && !strchr (reason, '\n'));
    RP_CHECK (memcmp (&certificate, &empty, sizeof empty) == 0);
    return 0;
}
