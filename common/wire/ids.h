/*  Ids with types: a session's id cannot be passed where a request's is meant.

    SPDX-License-Identifier: MPL-2.0

    Each wraps a pool handle (slot and generation, common/base/pool.h); 0 stands for none.
*/

#ifndef RP_IDS_H
#define RP_IDS_H

#include <stdint.h>

/*  One session of one peer with this broker.  */
typedef struct {
    uint64_t v;
} rp_session_id_t;

/*  One delivery of one request to one worker; the worker sees it as the request's id.  */
typedef struct {
    uint64_t v;
} rp_token_t;

#endif
