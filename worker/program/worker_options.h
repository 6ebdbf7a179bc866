/*  The settings of riposte-worker, as read from its command line. main.c fills the structure in;
    the loop and the built-in services read it.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_WORKER_OPTIONS_H
#define RP_WORKER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    RP_BUILTIN_NONE = -1,
    RP_BUILTIN_ECHO, /* the order of the choices of --builtin */
    RP_BUILTIN_UPPER,
    RP_BUILTIN_SLEEP,
    RP_BUILTIN_FAIL,
} rp_builtin_t;

typedef struct {
    const char *server;
    const char *key_file;   /* NULL: none */
    const char *server_key; /* NULL: none */
    const char *context;    /* NULL: none */
    const char *name;       /* NULL: the library's default */
    const char *service;
    char **command; /* ends with NULL */
    uint64_t slots;
    int64_t heartbeat; /* µs, as all times here */
    int64_t drain;
    int64_t kill_after;
    int64_t start_limit; /* 0: none */
    uint64_t max_output; /* bytes */
    int builtin;         /* rp_builtin_t */
    bool persistent;
    bool wait_ready;
    bool stream;
    bool quiet;
    bool verbose;
} rp_worker_options_t;

#endif
