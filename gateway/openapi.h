/*  The description of the gateway's interface (OpenAPI 3.1), made from gateway/openapi.json at build time.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_OPENAPI_H
#define RP_OPENAPI_H

#include <stddef.h>

extern const char rp_openapi[];
extern const size_t rp_openapi_size; /* bytes */

#endif
