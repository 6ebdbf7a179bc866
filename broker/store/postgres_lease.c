/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/postgres_lease.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "broker/store/postgres_sql.h"
#include "common/io/clock.h"

/*  How often a lease is looked at that another process has.  */
#define S_LOOK_NS 100000000

/*  ---- Processes ------------------------------------------------------------------------------- */

/*  Reads the first line of a file; "" if there is none.  */
static void s_read_line (const char *path, char *line, int room)
{
    FILE *file = fopen (path, "re");
    if (!file || !fgets (line, room, file))
        line[0] = 0;
    line[strcspn (line, "\n")] = 0;
    if (file)
        (void) fclose (file);
}

/*  Writes when a process of this machine was started, by the kernel's count; "" if that is not to be seen, and
    "ended" of one that has ended and not been waited for.  */
static void s_read_start (long pid, char *start, size_t room)
{
    char path[64];
    char line[1024];
    snprintf (path, sizeof path, "/proc/%ld/stat", pid);
    s_read_line (path, line, sizeof line);
    char *rest = strrchr (line, ')'); // a name may have spaces
    char *next = NULL;
    char *word = rest ? strtok_r (rest + 1, " ", &next) : NULL;
    bool ended = word && (*word == 'Z' || *word == 'X');
    for (unsigned field = 3; word && field < 22; field++)
        word = strtok_r (NULL, " ", &next);
    snprintf (start, room, "%s", ended ? "ended" : word ? word : "");
}

#define S_HOST 48u

static void s_read_host (char host[S_HOST])
{
    host[0] = host[S_HOST - 1] = 0;
    (void) gethostname (host, S_HOST - 1);
}

/*  The kernel's number of the namespace of pids that is not within another.  */
#define S_ALL_PIDS 0xEFFFFFFCu

/*  Writes what is the same for all processes that this one can see, and for no others: the boot, or where that is
    not to be seen, as in the packaged unit, the machine; and the namespace of pids. "": that cannot be told.  */
static void s_read_place (char *place, size_t room)
{
    char boot[64];
    char host[S_HOST] = "";
    struct stat pids = {0};
    place[0] = 0;
    if (stat ("/proc/self/ns/pid", &pids) != 0)
        return;
    s_read_line ("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    if (!boot[0]
        && pids.st_ino == S_ALL_PIDS) { // not in containers: they share it with their image
        s_read_line ("/etc/machine-id", boot, sizeof boot);
        s_read_host (host);
    }
    if (boot[0])
        snprintf (place, room, "%s%s %" PRIuMAX, boot, host, (uintmax_t) pids.st_ino);
}

/*  Writes what another process needs to find out whether this one still runs; and the machine, for people.  */
static void s_describe (char *process, size_t room)
{
    char place[RP_POSTGRES_PROCESS / 2];
    char start[24];
    char host[S_HOST];
    s_read_place (place, sizeof place);
    s_read_start ((long) getpid (), start, sizeof start);
    s_read_host (host);
    snprintf (process, room, "%s %ld %s %s", place, (long) getpid (), start[0] ? start : "?", host);
}

/*  True if a process was of this machine, and has ended.  */
static bool s_has_ended (const char *process)
{
    char place[RP_POSTGRES_PROCESS / 2];
    char start[24];
    char *end;
    s_read_place (place, sizeof place);
    size_t size = strlen (place);
    if (size == 0 || strncmp (process, place, size) != 0 || process[size] != ' ')
        return false;
    long pid = strtol (process + size, &end, 10);
    if (pid <= 0 || *end != ' ')
        return false;
    if (kill ((pid_t) pid, 0) != 0 && errno == ESRCH)
        return true;
    // Another one may have its number now.
    size_t started = strcspn (end + 1, " ");
    s_read_start (pid, start, sizeof start);
    return start[0] && (strlen (start) != started || strncmp (start, end + 1, started) != 0);
}

/*  ---- Epochs ---------------------------------------------------------------------------------- */

/*  NONE: the store has another instance than was seen.  */
typedef enum { S_TAKEN, S_NONE, S_FAILED } s_take_t;

/*  Takes the next epoch, if the store still has the instance that was seen. The row is locked by each transaction,
    so this waits for one that runs.  */
static s_take_t s_take_epoch (
  rp_postgres_t *postgres, rp_postgres_lease_t *self, const char *seen, const char *endpoints)
{
    const char *const values[] = {seen, self->instance, self->process, endpoints};
    PGresult *result;
    s_take_t taken = S_FAILED;
    rp_postgres_answer_t answer = rp_postgres_run (postgres,
      "UPDATE riposte.brokers SET epoch = epoch + 1, instance = $2, process = $3,"
      " endpoints = coalesce ($4, endpoints), lease_until = now() + interval '" RP_POSTGRES_LEASE
      "' WHERE id = 1 AND instance = $1 RETURNING epoch, commits, last",
      4, values, &result);
    if (answer == RP_POSTGRES_DONE) {
        taken = postgres->pq->PQntuples (result) == 1 ? S_TAKEN : S_NONE;
    }
    if (taken == S_TAKEN) {
        self->epoch = rp_postgres_number (postgres, result, 0, 0);
        self->commits = rp_postgres_number (postgres, result, 0, 1);
        self->last = rp_postgres_number (postgres, result, 0, 2);
    }
    if (result)
        postgres->pq->PQclear (result);
    return taken;
}

/*  Ends what connections the instance had. It may be held up within a transaction, whose locks would be waited for.
    Not every engine can do that; its time limits do it then.  */
static void s_end_sessions (rp_postgres_t *postgres, const char *instance)
{
    const char *const values[] = {instance};
    PGresult *result = NULL;
    if (*instance)
        (void) rp_postgres_run (postgres,
          "SELECT pg_terminate_backend (pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid ()"
          " AND application_name = 'riposte ' || $1",
          1, values, &result);
    if (result)
        postgres->pq->PQclear (result);
}

/*  Has the database know by which instance this connection is.  */
static void s_name_session (rp_postgres_t *postgres, const char *instance)
{
    const char *const values[] = {instance};
    PGresult *result;
    (void) rp_postgres_run (postgres,
      "SELECT set_config ('application_name', 'riposte ' || $1, false)", 1, values, &result);
    if (result)
        postgres->pq->PQclear (result);
}

/*  Takes the store from the instance that was seen.  */
static s_take_t s_take (
  rp_postgres_t *postgres, rp_postgres_lease_t *self, const char *seen, const char *endpoints)
{
    s_name_session (postgres, self->instance);
    s_end_sessions (postgres, seen);
    return s_take_epoch (postgres, self, seen, endpoints);
}

/*  Who has the store.  */
typedef struct {
    char instance[RP_POSTGRES_INSTANCE];
    char process[RP_POSTGRES_PROCESS];
    char endpoints[128];
    char until[64];
    bool valid; /* the lease has not ended */
} s_holder_t;

static bool s_look (rp_postgres_t *postgres, s_holder_t *holder)
{
    PGresult *result;
    bool seen = rp_postgres_run (postgres,
                  "SELECT instance, process, endpoints, lease_until::text,"
                  " (CASE WHEN lease_until > now() THEN 1 ELSE 0 END)::bigint"
                  " FROM riposte.brokers WHERE id = 1",
                  0, NULL, &result)
                == RP_POSTGRES_DONE;
    if (seen && postgres->pq->PQntuples (result) != 1) {
        snprintf (postgres->trouble, sizeof postgres->trouble, "it has no row of a broker");
        seen = false;
    }
    if (seen) {
        snprintf (
          holder->instance, sizeof holder->instance, "%s", postgres->pq->PQgetvalue (result, 0, 0));
        snprintf (
          holder->process, sizeof holder->process, "%s", postgres->pq->PQgetvalue (result, 0, 1));
        snprintf (holder->endpoints, sizeof holder->endpoints, "%s",
          postgres->pq->PQgetvalue (result, 0, 2));
        snprintf (
          holder->until, sizeof holder->until, "%s", postgres->pq->PQgetvalue (result, 0, 3));
        holder->valid = rp_postgres_number (postgres, result, 0, 4) != 0;
    }
    if (result)
        postgres->pq->PQclear (result);
    return seen;
}

/*  The last word of `process` is the host.  */
static void s_refuse (const s_holder_t *holder, char *text)
{
    const char *host = strrchr (holder->process, ' ');
    snprintf (text, RP_STORE_TEXT,
      "the store is in use by another broker, at %.120s on %.60s; each broker needs a database of "
      "its own",
      holder->endpoints[0] ? holder->endpoints : "an unknown endpoint", host ? host + 1 : "?");
}

bool rp_postgres_lease_take (
  rp_postgres_t *postgres, rp_postgres_lease_t *self, const char *endpoints, char *text)
{
    s_holder_t first = {.valid = false};
    s_holder_t holder;
    snprintf (self->instance, sizeof self->instance, "%016" PRIx64 "%016" PRIx64,
      rp_clock_entropy (), rp_clock_entropy ());
    s_describe (self->process, sizeof self->process);
    while (s_look (postgres, &holder)) {
        if (first.until[0]
            && (strcmp (first.until, holder.until) != 0
                || strcmp (first.instance, holder.instance) != 0)) {
            s_refuse (&holder, text);
            return false;
        }
        if (!holder.valid || s_has_ended (holder.process)) {
            s_take_t taken = s_take (postgres, self, holder.instance, endpoints);
            if (taken == S_TAKEN)
                return true;
            if (taken == S_FAILED)
                break;
        }
        first = holder;
        (void) nanosleep (&(struct timespec){.tv_nsec = S_LOOK_NS}, NULL);
    }
    snprintf (text, RP_STORE_TEXT, "the store cannot be taken: %.300s", postgres->trouble);
    return false;
}

rp_postgres_answer_t rp_postgres_lease_take_again (
  rp_postgres_t *postgres, rp_postgres_lease_t *self)
{
    s_take_t taken = s_take (postgres, self, self->instance, NULL);
    if (taken == S_TAKEN)
        return RP_POSTGRES_DONE;
    if (taken == S_FAILED)
        return postgres->connection ? RP_POSTGRES_WRONG : RP_POSTGRES_LOST;
    snprintf (postgres->trouble, sizeof postgres->trouble,
      "another broker has taken the store over, because this one could not be heard");
    return RP_POSTGRES_FENCED;
}

void rp_postgres_lease_end (rp_postgres_t *postgres, const rp_postgres_lease_t *self)
{
    const char *const values[] = {self->instance};
    PGresult *result;
    (void) rp_postgres_run (postgres,
      "UPDATE riposte.brokers SET lease_until = now() WHERE id = 1 AND instance = $1", 1, values,
      &result);
    if (result)
        postgres->pq->PQclear (result);
}
