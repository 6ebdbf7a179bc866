/*  Contexts of `riposte`: named sets of brokers, keys and a timeout, which a user keeps in a file,
    so that a command line needs only the name. (Contexts of libzmq are in common/io/context.h.)

    SPDX-License-Identifier: MPL-2.0

    The file is ZPL, ~/.config/riposte/contexts, or riposte/contexts in XDG_CONFIG_HOME; only its
    owner can read it. It holds no secret: key-file names a file.

        use = "prod"
        context = "prod"
            server = "tcp://10.0.0.1:5555,tcp://10.0.0.2:5555"
            key-file = "/home/ada/.config/riposte/ada.key_secret"
            server-key = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
            timeout = "30s"
            spread = "yes"

    Thread-safety: none; the functions that read and write the file use the environment.
*/

#ifndef RP_CONTEXTS_H
#define RP_CONTEXTS_H

#include <stdbool.h>
#include <stddef.h>

#define RP_CONTEXTS_MAX 64u
#define RP_CONTEXT_NAME_MAX 63u
#define RP_CONTEXT_VALUE_MAX 1023u
#define RP_CONTEXTS_REASON_MAX 1280u

/*  The values of a context, each with the name of its option.  */
typedef enum {
    RP_CONTEXT_SERVER,
    RP_CONTEXT_KEY_FILE,
    RP_CONTEXT_SERVER_KEY,
    RP_CONTEXT_TIMEOUT,
    RP_CONTEXT_SPREAD, /* RP_CONTEXT_YES, or "no" */
} rp_context_value_t;

#define RP_CONTEXT_VALUES (RP_CONTEXT_SPREAD + 1u)
/*  A flag that is set.  */
#define RP_CONTEXT_YES "yes"

/*  "server", "key-file" …  */
extern const char *const rp_context_value_names[RP_CONTEXT_VALUES];

typedef struct {
    char name[RP_CONTEXT_NAME_MAX + 1];
    char values[RP_CONTEXT_VALUES][RP_CONTEXT_VALUE_MAX + 1]; /* "": not set */
} rp_named_context_t;

typedef struct {
    rp_named_context_t items[RP_CONTEXTS_MAX];
    size_t count;
    char use[RP_CONTEXT_NAME_MAX + 1]; /* the context without --context; "": none */
} rp_contexts_t;

/*  A name has 1 to 63 of letters, digits, - _ and ".".  */
bool rp_context_name_is_valid (const char *name);

/*  True if a flag of a context is set.  */
bool rp_context_flag (const rp_named_context_t *item, rp_context_value_t flag);

/*  A value can be written to the file: 1 to 1,023 bytes without quotes and control characters.  */
bool rp_context_value_is_valid (const char *value);

/*  NULL if there is none of this name.  */
rp_named_context_t *rp_contexts_find (rp_contexts_t *self, const char *name);

/*  Adds an empty context. NULL if there is no room.  */
rp_named_context_t *rp_contexts_add (rp_contexts_t *self, const char *name);

/*  Removes one of the items.  */
void rp_contexts_remove (rp_contexts_t *self, rp_named_context_t *item);

/*  Reads the text of a file. False with a reason ("4: unknown name").  */
bool rp_contexts_parse (
  rp_contexts_t *self, const char *text, size_t size, char reason[RP_CONTEXTS_REASON_MAX]);

/*  Returns the text, from malloc; NULL when out of memory.  */
char *rp_contexts_format (const rp_contexts_t *self, size_t *size);

/*  Reads the user's file; if there is none, or it lies where this user may not look, there are no
    contexts. False with a reason for people that names the file.  */
bool rp_contexts_load (rp_contexts_t *self, char reason[RP_CONTEXTS_REASON_MAX]);

/*  Writes the user's file, whole or not at all, with mode 0600; makes its directory.  */
bool rp_contexts_save (const rp_contexts_t *self, char reason[RP_CONTEXTS_REASON_MAX]);

#endif
