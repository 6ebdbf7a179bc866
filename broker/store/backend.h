/*  Backends: how the store's thread keeps jobs in one kind of database. A new one is one more file.

    SPDX-License-Identifier: MPL-2.0

    All functions are called by one thread at a time and may wait for a disk. Operations are run
    within a transaction: begin, run for each, commit or roll back. What reads sees what was run
    before it. A backend may run them all when it commits, so what run was given must be valid until
    then, and a result is known once commit has returned OK.

    Thread-safety: none.
*/

#ifndef RP_STORE_BACKEND_H
#define RP_STORE_BACKEND_H

#include "broker/core/store_op.h"

/*  Bytes of a text about what went wrong, with NUL.  */
#define RP_STORE_TEXT 512u

/*  Bugs that tests want in a store in PostgreSQL.  */
typedef enum {
    RP_STORE_BUG_NONE,
    RP_STORE_BUG_NO_FENCE,        /* commits without a look at the epoch */
    RP_STORE_BUG_UNKNOWN_IS_DONE, /* takes a commit without an answer for done */
    RP_STORE_BUG_UNKNOWN_IS_NOT,  /* takes it for not done */
} rp_store_bug_t;

typedef struct {
    const char *path;      /* of a file; or a URL: postgresql://… */
    const char *endpoints; /* of the broker, for people who look for it; may be NULL */
    /*  for tests: */
    const char
      *vfs;         /* of SQLite: what to put in the place of the operating system; NULL: nothing */
    bool unsynced;  /* nothing is synced, so a power loss loses jobs */
    uint64_t pages; /* the file is full at so many pages; 0: no limit */
    rp_store_bug_t bug;
} rp_store_settings_t;

/*  What came of a call.  */
typedef enum {
    RP_BACKEND_OK,
    RP_BACKEND_FULL,    /* no space; roll back */
    RP_BACKEND_AWAY,    /* the database is not reachable, and nothing was written; roll back */
    RP_BACKEND_UNKNOWN, /* of commit: it was sent, and no answer came; ask resolve */
    RP_BACKEND_LOST, /* what was this broker's is another's, and nothing was written; roll back, and rejoin */
    RP_BACKEND_BROKEN, /* the database has failed: roll back, and use it no more */
} rp_backend_result_t;

/*  Figures that change while the backend is used.  */
typedef struct {
    uint64_t file_bytes;
    uint64_t free_bytes;
    /*  of a database that several brokers may have; otherwise 0  */
    uint64_t brokers;    /* that have it, with itself; looked at each 10 s, as the size is */
    uint64_t adopted;    /* others whose jobs it has taken over */
    uint64_t fenced;     /* how often another one has taken over its own */
    int64_t lease_until; /* by rp_clock_us; it may last longer; 0: it has none */
} rp_backend_size_t;

/*  An operation with its body.  */
typedef struct {
    const rp_store_op_t *op;
    const rp_store_span_t *frames;
    size_t count;
} rp_store_work_t;

typedef struct rp_backend rp_backend_t;

/*  The functions of a kind of backend.  */
typedef struct {
    const char *name; /* in metrics */
    void (*close) (rp_backend_t *self);
    rp_backend_result_t (*begin) (rp_backend_t *self);
    /*  Runs an operation. With OK, result has outcome, id, count, more, due and rows (its other
        fields are the caller's): SAFE is true when the transaction is committed.  */
    rp_backend_result_t (*run) (
      rp_backend_t *self, const rp_store_work_t *work, rp_stored_t *result);
    /*  Bytes of rows that the transaction has read so far, as far as it is known.  */
    size_t (*held) (const rp_backend_t *self);
    /*  Commits, and syncs if anything was written.  */
    rp_backend_result_t (*commit) (rp_backend_t *self);
    /*  Finds out what became of the latest commit: OK, it was done; AWAY, it was not; UNKNOWN, ask
        again. NULL if no commit of this backend is ever unknown.  */
    rp_backend_result_t (*resolve) (rp_backend_t *self);
    /*  Begins again after LOST: OK, AWAY, or once more LOST. NULL if nothing is ever LOST.  */
    rp_backend_result_t (*rejoin) (rp_backend_t *self);
    /*  True once if jobs of others have become this broker's; trouble says of which. NULL if that never happens.  */
    bool (*has_news) (rp_backend_t *self);
    void (*roll_back) (rp_backend_t *self);
    /*  Removes a batch of jobs whose time has passed, in a transaction of its own; *cleaned: how
        many. *more: there are further ones.  */
    rp_backend_result_t (*clean) (rp_backend_t *self, int64_t now, uint64_t *cleaned, bool *more);
    /*  Does other work that is due between transactions. *did: it took time; idle: nothing waits.  */
    rp_backend_result_t (*tidy) (rp_backend_t *self, bool idle, bool *did);
    void (*size) (rp_backend_t *self, rp_backend_size_t *size);
    /*  What it was given when the store was made; it never changes.  */
    const rp_store_secret_t *(*secret) (const rp_backend_t *self);
    /*  What went wrong last: valid until the next call.  */
    const char *(*trouble) (const rp_backend_t *self);
} rp_backend_class_t;

/*  The beginning of every backend.  */
struct rp_backend {
    const rp_backend_class_t *functions;
    bool leaves; /* the broker is about to end: jobs of others are not taken over any more */
    char
      *renamed;  /* where the broker is to be found, unless it is known; tidy takes and frees it */
    int64_t due; /* when tidy has something to do, by rp_clock_us; 0: now and then */
};

/*  Opens or makes a file of SQLite. NULL on failure, with text (RP_STORE_TEXT bytes).  */
rp_backend_t *rp_sqlite_open (const rp_store_settings_t *settings, char *text);

/*  Opens the store in a database of PostgreSQL, which may take some seconds. NULL on failure, with text.  */
rp_backend_t *rp_postgres_open (const rp_store_settings_t *settings, char *text);

/*  What `riposte store` does with it. text says what was found or done, or what is wrong.  */
bool rp_postgres_check (const char *url, char *text);
bool rp_postgres_migrate (const char *url, bool make, char *text);

/*  True if the store is to be in PostgreSQL.  */
bool rp_postgres_is_url (const char *path);

#endif
