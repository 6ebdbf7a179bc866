/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/http_questions.h"

#include <string.h>

#include "broker/admin/http_answers.h"
#include "broker/admin/params.h"

_Static_assert(RP_PARAM_WRONG_MAX == RP_QUESTION_WRONG_MAX, "one room for both");

typedef struct {
    json_t *params;
    char *wrong;
    bool good;
} s_reading_t;

/*  Questions about jobs, which the store answers. path: behind /api/; with a slash at its end an id follows.  */
static const struct {
    const char *path;
    const char *name;
    const char *const *params;
    bool changes;
} s_jobs[] = {
  {"jobs", "jobs", (const char *const[]){"service", "state", "id", "most", NULL}, false},
  {"jobs/", "job", (const char *const[]){"id", "body", NULL}, false},
  {"brokers", "brokers", (const char *const[]){NULL}, false},
  {"dead", "dead.list", (const char *const[]){"service", "id", "most", NULL}, false},
  {"dead/retry", "dead.retry", (const char *const[]){"id", NULL}, true},
  {"dead/purge", "dead.purge", (const char *const[]){"id", "service", "all", NULL}, true},
};

static bool s_find_job (rp_http_question_t *self, const char *path)
{
    for (size_t index = 0; index < sizeof s_jobs / sizeof *s_jobs; index++) {
        size_t size = strlen (s_jobs[index].path);
        bool more = s_jobs[index].path[size - 1] == '/';
        if (more ? strncmp (path, s_jobs[index].path, size) != 0 || !path[size]
                 : strcmp (path, s_jobs[index].path) != 0)
            continue;
        *self = (rp_http_question_t){.name = s_jobs[index].name,
          .size = strlen (s_jobs[index].name),
          .id = more ? path + size : NULL,
          .params = s_jobs[index].params,
          .changes = s_jobs[index].changes};
        return true;
    }
    return false;
}

bool rp_http_question_find (rp_http_question_t *self, const char *path)
{
    static const char prefix[] = "/api/";
    if (strncmp (path, prefix, sizeof prefix - 1) != 0)
        return false;
    path += sizeof prefix - 1;
    if (s_find_job (self, path))
        return true;
    *self = (rp_http_question_t){.name = path, .size = strcspn (path, "/")};
    self->id = path[self->size] ? path + self->size + 1 : NULL;
    return self->size < RP_ASKING_NAME_MAX && rp_question_is (path, self->size);
}

static enum MHD_Result s_read_one (
  void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    s_reading_t *reading = arg;
    (void) kind;
    reading->good = rp_params_add (reading->params, name, value, reading->wrong);
    return reading->good ? MHD_YES : MHD_NO;
}

/*  False if a parameter is there that the question does not know.  */
static bool s_knows_all (const rp_http_question_t *self, json_t *params, char *wrong)
{
    const char *param;
    json_t *value;
    json_object_foreach (params, param, value)
    {
        const char *const *known = self->params;
        while (known && *known && strcmp (*known, param) != 0)
            known++;
        if (known && !*known) {
            rp_asked_wrong (
              &(rp_asked_t){.wrong = wrong}, "%s has no parameter \"%.60s\"", self->name, param);
            return false;
        }
    }
    return true;
}

/*  Reads parameters from the address. NULL as below.  */
static json_t *s_read_address (
  const rp_http_question_t *self, struct MHD_Connection *connection, char *wrong)
{
    s_reading_t reading = {.params = json_object (), .wrong = wrong};
    reading.good =
      reading.params && (!self->id || rp_params_add (reading.params, "id", self->id, wrong));
    if (reading.good)
        (void) MHD_get_connection_values (connection, MHD_GET_ARGUMENT_KIND, s_read_one, &reading);
    if (!reading.good) {
        json_decref (reading.params);
        return NULL;
    }
    return reading.params;
}

/*  Reads parameters from a body. NULL as below.  */
static json_t *s_read_body (const char *body, size_t size, char *wrong)
{
    json_t *params = size ? json_loadb (body, size, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (json_is_object (params))
        return params;
    json_decref (params);
    rp_asked_wrong (&(rp_asked_t){.wrong = wrong}, "the body has to be a JSON object");
    return NULL;
}

rp_asking_question_t *rp_http_question_read (const rp_http_question_t *self,
  struct MHD_Connection *connection,
  const char *body,
  size_t body_size,
  char wrong[RP_QUESTION_WRONG_MAX])
{
    wrong[0] = 0;
    json_t *params = self->changes ? s_read_body (body, body_size, wrong)
                                   : s_read_address (self, connection, wrong);
    rp_asking_question_t *question = params && s_knows_all (self, params, wrong)
                                       ? rp_asking_question_new (self->name, self->size, params)
                                       : NULL;
    if (!question)
        json_decref (params);
    return question;
}

bool rp_http_question_reveals (const rp_asking_question_t *question)
{
    return strcmp (question->name, "job") == 0 && json_object_get (question->params, "body");
}

enum MHD_Result rp_http_question_tell (
  struct MHD_Connection *connection, rp_asking_question_t *question)
{
    static const unsigned statuses[] = {[RP_ASKING_BAD] = MHD_HTTP_BAD_REQUEST,
      [RP_ASKING_ABSENT] = MHD_HTTP_NOT_FOUND,
      [RP_ASKING_BUSY] = MHD_HTTP_SERVICE_UNAVAILABLE};
    json_t *answer = question->answer;
    question->answer = NULL;
    if (answer)
        return rp_http_queue_json (connection, answer);
    return question->wrong[0] ? rp_http_say (connection, statuses[question->why], question->wrong)
                              : MHD_NO; // out of memory: the connection is closed
}

enum MHD_Result rp_http_question_refuse (
  struct MHD_Connection *connection, const char wrong[RP_QUESTION_WRONG_MAX])
{
    return wrong[0] ? rp_http_say (connection, MHD_HTTP_BAD_REQUEST, wrong)
                    : MHD_NO; // out of memory: the connection is closed
}

size_t rp_http_question_unescape (void *arg, struct MHD_Connection *connection, char *text)
{
    (void) arg;
    (void) connection;
    for (char *at = text; (at = strstr (at, "%00")); at += 3)
        at[1] = at[2] = 'F';
    return MHD_http_unescape (text);
}
