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

#include "broker/store/membership.h"
#include "common/io/clock.h"

/*  How long what is known of a broker is kept that has left no open job. Longer than anybody may ask what became of its
    latest commit, and short enough for people to read the list.  */
#define S_KEPT "1 hour"
/*  A lease while jobs that were taken over are counted, which may take as long (RP_POSTGRES_SILENT_LONG_US).  */
#define S_LONG "2 min"

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

/*  ---- Sessions -------------------------------------------------------------------------------- */

static void s_clear (const rp_postgres_t *postgres, PGresult *result)
{
    if (result)
        postgres->pq->PQclear (result);
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
    s_clear (postgres, result);
}

/*  Has the database know by which instance this connection is.  */
static void s_name_session (rp_postgres_t *postgres, const char *instance)
{
    const char *const values[] = {instance};
    PGresult *result;
    (void) rp_postgres_run (postgres,
      "SELECT set_config ('application_name', 'riposte ' || $1, false)", 1, values, &result);
    s_clear (postgres, result);
}

/*  ---- Joining --------------------------------------------------------------------------------- */

/*  Numbers as text, for parameters.  */
#define S_NUMBER 24u
static const char *s_text (char room[S_NUMBER], int64_t number)
{
    snprintf (room, S_NUMBER, "%" PRId64, number);
    return room;
}

/*  Runs a statement that finds a row or none. Returns whether it did; NULL answer: it is not asked for.  */
static bool s_finds (rp_postgres_t *postgres,
  const char *sql,
  int count,
  const char *const *values,
  rp_postgres_answer_t *answer)
{
    PGresult *result;
    *answer = rp_postgres_run (postgres, sql, count, values, &result);
    bool found = *answer == RP_POSTGRES_DONE && postgres->pq->PQntuples (result) > 0;
    s_clear (postgres, result);
    return found;
}

rp_postgres_answer_t rp_postgres_lease_join (
  rp_postgres_t *postgres, rp_postgres_lease_t *self, const char *endpoints)
{
    snprintf (self->instance, sizeof self->instance, "%016" PRIx64 "%016" PRIx64,
      rp_clock_entropy (), rp_clock_entropy ());
    s_describe (self->process, sizeof self->process);
    s_name_session (postgres, self->instance);
    const char *const values[] = {self->instance, self->process, endpoints};
    PGresult *result;
    rp_postgres_answer_t answer = rp_postgres_run (postgres,
      "WITH next AS (UPDATE riposte.counters SET joined = joined + 1 RETURNING joined)"
      " INSERT INTO riposte.brokers (id, epoch, lease_until, endpoints, instance, process, commits,"
      " holder, listed) SELECT joined, 1, clock_timestamp() + interval '" RP_MEMBERSHIP_LEASE
      "', coalesce ($3, ''), $1, $2, 0, joined, true FROM next RETURNING id",
      3, values, &result);
    if (answer == RP_POSTGRES_DONE) {
        self->id = rp_postgres_number (postgres, result, 0, 0);
        self->epoch = 1;
        self->commits = 0;
    }
    s_clear (postgres, result);
    return answer;
}

/*  Reads what became of the commits of an epoch that is over. It writes, since only a commit waits until the
    standbys have what was read: another one may be seen on the primary alone when its session was ended while it waited
    for them, and is lost with the primary.  */
static rp_postgres_answer_t s_read_commits (rp_postgres_t *postgres, rp_postgres_lease_t *self)
{
    char id[S_NUMBER];
    const char *const values[] = {s_text (id, self->id)};
    PGresult *result;
    rp_postgres_answer_t answer = rp_postgres_run (postgres,
      "UPDATE riposte.brokers SET commits = commits WHERE id = $1::bigint RETURNING commits", 1,
      values, &result);
    self->gone = answer == RP_POSTGRES_DONE && postgres->pq->PQntuples (result) == 0;
    if (answer == RP_POSTGRES_DONE && !self->gone)
        self->commits = rp_postgres_number (postgres, result, 0, 0);
    s_clear (postgres, result);
    return answer;
}

rp_postgres_answer_t rp_postgres_lease_take_again (
  rp_postgres_t *postgres, rp_postgres_lease_t *self)
{
    char id[S_NUMBER];
    const char *const values[] = {s_text (id, self->id), self->instance};
    PGresult *result;
    s_name_session (postgres, self->instance);
    s_end_sessions (postgres, self->instance);
    rp_postgres_answer_t answer = rp_postgres_run (postgres,
      "UPDATE riposte.brokers SET epoch = epoch + 1, lease_until = clock_timestamp() + interval"
      " '" RP_MEMBERSHIP_LEASE "' WHERE id = $1::bigint AND holder = id AND instance = $2"
      " RETURNING epoch, commits",
      2, values, &result);
    bool own = answer == RP_POSTGRES_DONE && postgres->pq->PQntuples (result) == 1;
    if (own) {
        self->epoch = rp_postgres_number (postgres, result, 0, 0);
        self->commits = rp_postgres_number (postgres, result, 0, 1);
    }
    s_clear (postgres, result);
    if (answer != RP_POSTGRES_DONE || own)
        return answer;
    answer = s_read_commits (postgres, self);
    return answer == RP_POSTGRES_DONE ? RP_POSTGRES_FENCED : answer;
}

void rp_postgres_lease_end (rp_postgres_t *postgres, const rp_postgres_lease_t *self)
{
    char id[S_NUMBER], epoch[S_NUMBER];
    const char *const values[] = {s_text (id, self->id), s_text (epoch, self->epoch)};
    PGresult *result;
    (void) rp_postgres_run (postgres,
      "UPDATE riposte.brokers SET lease_until = now(), instance = '' WHERE id = $1::bigint"
      " AND epoch = $2::bigint",
      2, values, &result);
    s_clear (postgres, result);
}

/*  ---- Others ---------------------------------------------------------------------------------- */

/*  What is known of those that were looked at.  */
typedef struct {
    size_t count;
    size_t others; /* that hold jobs, up to RP_MEMBERSHIP_OTHERS */
    rp_member_t members[RP_MEMBERSHIP_MEMBERS];
    char instances[RP_MEMBERSHIP_MEMBERS][RP_POSTGRES_INSTANCE];
    char names[RP_MEMBERSHIP_MEMBERS][RP_POSTGRES_NAME];
} s_view_t;

/*  Writes how people know a broker. The last word of `process` is the host.  */
static void s_name (char *name, int64_t id, const char *endpoints, const char *process)
{
    const char *host = strrchr (process, ' ');
    snprintf (name, RP_POSTGRES_NAME, "%" PRId64 " (%.120s on %.60s)", id,
      *endpoints ? endpoints : "an unknown endpoint", host ? host + 1 : "?");
}

/*  The end of a lease as a number, µs.  */
#define S_UNTIL "(extract (epoch FROM lease_until) * 1000000)::bigint"

/*  Looks at the brokers that hold jobs: those of this machine, and those whose lease ends soon. All of
    a thousand, once a second, would be most of what a look costs.  */
static rp_postgres_answer_t s_look (
  rp_postgres_t *postgres, const rp_postgres_lease_t *self, s_view_t *view)
{
    char id[S_NUMBER], most[S_NUMBER];
    char here[RP_POSTGRES_PROCESS / 2];
    s_read_place (here, sizeof here);
    const char *const values[] = {
      s_text (id, self->id), here, s_text (most, RP_MEMBERSHIP_OTHERS + 1)};
    PGresult *result;
    rp_postgres_answer_t answer = rp_postgres_run (postgres,
      "SELECT id, epoch, holder, (extract (epoch FROM lease_until - now()) * 1000000)::bigint,"
      " instance, process, endpoints, " S_UNTIL ", (SELECT count(*) FROM (SELECT 1 FROM"
      " riposte.brokers WHERE holder = id LIMIT $3::bigint) c) FROM riposte.brokers"
      " WHERE holder = id AND id <> $1::bigint"
      " AND (lease_until <= now() + interval '" RP_MEMBERSHIP_NEAR "' OR (length ($2::text) > 0"
      " AND substr (process, 1, length ($2::text)) = $2::text)) ORDER BY lease_until LIMIT 512",
      3, values, &result);
    size_t count = answer == RP_POSTGRES_DONE ? (size_t) postgres->pq->PQntuples (result) : 0;
    view->count = count < RP_MEMBERSHIP_MEMBERS ? count : RP_MEMBERSHIP_MEMBERS;
    view->others = count > 0 ? (size_t) rp_postgres_number (postgres, result, 0, 8) - 1 : 0;
    for (size_t place = 0; place < view->count; place++) {
        int row = (int) place;
        rp_member_t *member = &view->members[place];
        const char *process = postgres->pq->PQgetvalue (result, row, 5);
        *member = (rp_member_t){.id = rp_postgres_number (postgres, result, row, 0),
          .epoch = rp_postgres_number (postgres, result, row, 1),
          .holder = rp_postgres_number (postgres, result, row, 2),
          .left = rp_postgres_number (postgres, result, row, 3)};
        const char *instance = postgres->pq->PQgetvalue (result, row, 4);
        member->until = rp_postgres_number (postgres, result, row, 7);
        member->ended = !*instance || s_has_ended (process);
        snprintf (view->instances[place], RP_POSTGRES_INSTANCE, "%s", instance);
        s_name (view->names[place], member->id, postgres->pq->PQgetvalue (result, row, 6), process);
    }
    s_clear (postgres, result);
    return answer;
}

/*  Takes the jobs of one over, and those that it had taken over, in one transaction: if this broker still has its
    own, and the other shows no sign of life since it was seen. Its row is locked by each of its transactions, so
    this waits for one that runs, and no later one is committed.  */
static rp_postgres_answer_t s_adopt (
  rp_postgres_t *postgres, const rp_postgres_lease_t *self, const rp_member_t *member, bool *taken)
{
    char id[S_NUMBER], epoch[S_NUMBER], other[S_NUMBER], seen[S_NUMBER], until[S_NUMBER];
    const char *const own[] = {s_text (id, self->id), s_text (epoch, self->epoch)};
    const char *const both[] = {
      id, s_text (other, member->id), s_text (seen, member->epoch), s_text (until, member->until)};
    rp_postgres_answer_t answer, last;
    *taken = false;
    (void) s_finds (postgres, "BEGIN", 0, NULL, &answer);
    if (answer != RP_POSTGRES_DONE)
        return answer;
    bool whole = s_finds (postgres,
      "UPDATE riposte.brokers SET lease_until = clock_timestamp() + interval '" RP_MEMBERSHIP_LEASE
      "' WHERE id = $1::bigint AND epoch = $2::bigint RETURNING id",
      2, own, &answer);
    bool fenced = answer == RP_POSTGRES_DONE && !whole;
    bool adopted =
      whole
      && s_finds (postgres,
        member->ended
          ? "UPDATE riposte.brokers SET epoch = epoch + 1, holder = $1::bigint, listed = false,"
            " adopted = now(), lease_until = least (lease_until, now())"
            " WHERE id = $2::bigint AND epoch = $3::bigint"
            " AND holder = id RETURNING id"
          : "UPDATE riposte.brokers SET epoch = epoch + 1, holder = $1::bigint, listed = false,"
            " adopted = now() WHERE id = $2::bigint AND epoch = $3::bigint"
            " AND holder = id AND lease_until <= now() AND " S_UNTIL " = $4::bigint RETURNING id",
        member->ended ? 3 : 4, both, &answer);
    if (adopted)
        (void) s_finds (postgres,
          "UPDATE riposte.brokers SET holder = $1::bigint, listed = false WHERE holder = "
          "$2::bigint",
          2, both, &answer);
    adopted = adopted && answer == RP_POSTGRES_DONE;
    (void) s_finds (postgres, adopted ? "COMMIT" : "ROLLBACK", 0, NULL, &last);
    *taken = adopted && last == RP_POSTGRES_DONE;
    return fenced ? RP_POSTGRES_FENCED : answer != RP_POSTGRES_DONE ? answer : last;
}

rp_postgres_answer_t rp_postgres_lease_adopt (rp_postgres_t *postgres,
  const rp_postgres_lease_t *self,
  rp_membership_t *membership,
  char *taken)
{
    s_view_t *view = malloc (sizeof *view);
    if (!view)
        return RP_POSTGRES_DONE; // at the next look
    rp_membership_begin_look (membership, rp_clock_us ());
    rp_postgres_answer_t answer = s_look (postgres, self, view);
    if (answer == RP_POSTGRES_DONE)
        rp_membership_see (membership, view->members, view->count, view->others, rp_clock_us (),
          rp_clock_entropy ());
    size_t place = 0;
    while (answer == RP_POSTGRES_DONE
           && (place = rp_membership_choose (membership, view->members, view->count, self->id))
                < view->count) {
        bool done;
        answer = s_adopt (postgres, self, &view->members[place], &done);
        if (answer == RP_POSTGRES_AGAIN) {
            // Its own transaction holds its row, or another one adopts it too. The next look is soon.
            s_end_sessions (postgres, view->instances[place]);
            answer = RP_POSTGRES_DONE;
        }
        if (!done)
            rp_membership_give_way (membership);
        size_t size = strlen (taken);
        membership->adopted += done;
        if (done)
            snprintf (
              taken + size, RP_STORE_TEXT - size, "%s%s", size > 0 ? ", " : "", view->names[place]);
    }
    free (view);
    return answer;
}

rp_postgres_answer_t rp_postgres_lease_rename (
  rp_postgres_t *postgres, const rp_postgres_lease_t *self, const char *endpoints)
{
    char id[S_NUMBER];
    const char *const values[] = {s_text (id, self->id), endpoints};
    rp_postgres_answer_t answer;
    (void) s_finds (postgres, "UPDATE riposte.brokers SET endpoints = $2 WHERE id = $1::bigint", 2,
      values, &answer);
    return answer;
}

rp_postgres_answer_t rp_postgres_lease_lengthen (
  rp_postgres_t *postgres, const rp_postgres_lease_t *self)
{
    char id[S_NUMBER], epoch[S_NUMBER];
    const char *const values[] = {s_text (id, self->id), s_text (epoch, self->epoch)};
    rp_postgres_answer_t answer;
    (void) s_finds (postgres,
      "UPDATE riposte.brokers SET lease_until = clock_timestamp() + interval '" S_LONG "'"
      " WHERE id = $1::bigint AND epoch = $2::bigint AND EXISTS"
      " (SELECT 1 FROM riposte.brokers WHERE holder = $1::bigint AND NOT listed)",
      2, values, &answer);
    return answer;
}

rp_postgres_answer_t rp_postgres_lease_look_for_ended (
  rp_postgres_t *postgres, const rp_postgres_lease_t *self, bool *any)
{
    char id[S_NUMBER];
    const char *const values[] = {s_text (id, self->id)};
    rp_postgres_answer_t answer;
    *any = s_finds (postgres,
      "SELECT 1 FROM riposte.ended WHERE owner IN"
      " (SELECT id FROM riposte.brokers WHERE listed AND holder = $1::bigint) LIMIT 1",
      1, values, &answer);
    return answer;
}

rp_postgres_answer_t rp_postgres_lease_forget (
  rp_postgres_t *postgres, const rp_postgres_lease_t *self)
{
    char id[S_NUMBER];
    const char *const values[] = {s_text (id, self->id)};
    rp_postgres_answer_t answer;
    (void) s_finds (postgres,
      "DELETE FROM riposte.brokers b WHERE id <> $1::bigint"
      " AND lease_until < now() - interval '" S_KEPT
      "' AND NOT EXISTS (SELECT 1 FROM riposte.brokers WHERE holder = b.id AND id <> b.id)"
      " AND NOT EXISTS (SELECT 1 FROM riposte.open WHERE listed AND owner = b.id)"
      " AND NOT EXISTS (SELECT 1 FROM riposte.open WHERE NOT listed AND owner = b.id)"
      " AND NOT EXISTS (SELECT 1 FROM riposte.ended WHERE owner = b.id)",
      1, values, &answer);
    return answer;
}
