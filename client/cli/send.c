/*  riposte send: has the broker keep requests as jobs, and writes their ids.

    SPDX-License-Identifier: MPL-2.0
*/

#include "client/cli/cli.h"

int rp_cli_send (rp_cli_t *self)
{
    int code = rp_cli_check_terms (self);
    self->sends = true;
    return code == 0 ? rp_cli_request (self) : code;
}
