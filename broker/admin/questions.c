/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/questions.h"

#include <string.h>

#include "broker/admin/json_settings.h"
#include "broker/admin/overview.h"
#include "broker/admin/question_causes.h"
#include "broker/admin/question_events.h"
#include "broker/admin/question_traces.h"

typedef struct {
    const char *name;
    json_t *(*answer) (rp_asked_t *asked);
    const char *params[4]; /* names that it knows, then NULL */
} s_question_t;

/*  ---- config --------------------------------------------------------------------------------- */

static json_t *s_config (rp_asked_t *asked)
{
    bool diff = false;
    if (!rp_asked_flag (asked, "diff", &diff))
        return NULL;
    if (asked->sources->settings.table)
        return rp_json_settings (&asked->sources->settings, diff);
    rp_asked_wrong (asked, "this broker has no settings to show");
    return NULL;
}

/*  ---- overview ------------------------------------------------------------------------------- */

static json_t *s_overview (rp_asked_t *asked)
{
    rp_snapshot_t *snapshot = rp_snapshot_take (asked->sources, true, asked->now);
    json_t *overview = snapshot ? rp_overview_json (snapshot) : NULL;
    rp_snapshot_destroy (&snapshot);
    return overview;
}

/*  ---- The table ------------------------------------------------------------------------------ */

static const s_question_t s_questions[] = {
  {"config", s_config, {"diff"}},
  {"events", rp_question_events, {"since", "most"}},
  {"explain", rp_question_explain, {"service"}},
  {"job_services", rp_question_job_services, {NULL}},
  {"overview", s_overview, {NULL}},
  {"slow", rp_question_slow, {"service", "failed", "most"}},
  {"trace", rp_question_trace, {"id", "most"}},
};

static const s_question_t *s_find (const char *name, size_t size)
{
    for (size_t index = 0; index < sizeof s_questions / sizeof *s_questions; index++)
        if (strlen (s_questions[index].name) == size
            && memcmp (s_questions[index].name, name, size) == 0)
            return &s_questions[index];
    return NULL;
}

bool rp_question_is (const char *name, size_t size)
{
    return s_find (name, size) != NULL;
}

static bool s_knows (const s_question_t *question, const char *param)
{
    for (const char *const *name = question->params; *name; name++)
        if (strcmp (*name, param) == 0)
            return true;
    return false;
}

json_t *rp_question_answer (const rp_snapshot_sources_t *sources,
  const char *name,
  size_t size,
  json_t *params,
  int64_t now,
  char wrong[RP_QUESTION_WRONG_MAX])
{
    const s_question_t *question = s_find (name, size);
    rp_asked_t asked = {.sources = sources, .params = params, .now = now, .wrong = wrong};
    wrong[0] = 0;
    if (!question) {
        rp_asked_wrong (&asked, "there is no such question");
        return NULL;
    }
    const char *param;
    json_t *value;
    json_object_foreach (params, param, value) if (!s_knows (question, param))
    {
        rp_asked_wrong (&asked, "%s has no parameter \"%.60s\"", question->name, param);
        return NULL;
    }
    return question->answer (&asked);
}

json_t *rp_question_answer_text (const rp_snapshot_sources_t *sources,
  const char *name,
  size_t size,
  const char *text,
  size_t text_size,
  int64_t now,
  char wrong[RP_QUESTION_WRONG_MAX])
{
    json_t *params = text_size ? json_loadb (text, text_size, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (text_size && !json_is_object (params)) {
        json_decref (params);
        rp_asked_wrong (&(rp_asked_t){.wrong = wrong}, "the parameters have to be a JSON object");
        return NULL;
    }
    json_t *answer = rp_question_answer (sources, name, size, params, now, wrong);
    json_decref (params);
    return answer;
}
