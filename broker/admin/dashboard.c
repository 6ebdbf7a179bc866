/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/dashboard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/units.h"

/*  Made by cmake/RipostePage.cmake.  */
extern const char rp_dashboard_page[];

static void s_escape (FILE *out, const char *text)
{
    for (; *text; text++)
        switch (*text) {
            case '&':
                fputs ("&amp;", out);
                break;
            case '<':
                fputs ("&lt;", out);
                break;
            case '>':
                fputs ("&gt;", out);
                break;
            case '"':
                fputs ("&quot;", out);
                break;
            case '\'':
                fputs ("&#39;", out);
                break;
            default:
                fputc (*text, out);
        }
}

/*  Returns a member that is a text; "" if there is none.  */
static const char *s_text (const json_t *object, const char *name)
{
    const char *text = json_string_value (json_object_get (object, name));
    return text ? text : "";
}

static uint64_t s_number (const json_t *object, const char *name)
{
    return (uint64_t) json_integer_value (json_object_get (object, name));
}

/*  ---- Services ------------------------------------------------------------------------------- */

static void s_write_cell (FILE *out, const char *class, const char *label, const char *text)
{
    fprintf (out, "<td role=\"cell\" class=\"%s\" data-label=\"%s\">", class, label);
    s_escape (out, text);
    fputs ("</td>", out);
}

static void s_write_count (FILE *out, const json_t *service, const char *name, const char *label)
{
    char text[RP_UNITS_TEXT_MAX];
    s_write_cell (out, name, label, rp_count_format (text, s_number (service, name)));
}

/*  0 is a time that nothing took: a dash.  */
static void s_write_time (FILE *out, const json_t *service, const char *name, const char *label)
{
    char text[RP_UNITS_TEXT_MAX];
    uint64_t us = s_number (service, name);
    s_write_cell (out, name, label, us ? rp_duration_format (text, (int64_t) us) : "–");
}

static void s_write_name (FILE *out, const json_t *service)
{
    fputs (
      "<th role=\"rowheader\" scope=\"row\" class=\"name\"><span class=\"dot\"></span><bdi>", out);
    s_escape (out, s_text (service, "name"));
    fputs ("</bdi>", out);
    size_t index;
    json_t *cause;
    json_array_foreach (json_object_get (service, "causes"), index, cause)
    {
        if (strcmp (s_text (cause, "state"), "ok") == 0)
            continue;
        fprintf (out, "<span class=\"cause\" data-state=\"%s\">", s_text (cause, "state"));
        s_escape (out, s_text (cause, "text"));
        fputs ("</span>", out);
    }
    fputs ("</th>", out);
}

static void s_write_workers (FILE *out, const json_t *service)
{
    fprintf (out,
      "<td role=\"cell\" class=\"workers\" data-label=\"Workers\">%" PRIu64 "<small> %" PRIu64
      " idle, %" PRIu64 " busy</small></td>",
      s_number (service, "workers"), s_number (service, "idle"), s_number (service, "busy"));
}

static void s_write_service (FILE *out, const json_t *service)
{
    char text[RP_UNITS_TEXT_MAX];
    double rate = json_real_value (json_object_get (service, "rate_per_s"));
    fprintf (out, "<tr role=\"row\" data-state=\"%s\">", s_text (service, "state"));
    s_write_name (out, service);
    s_write_cell (out, "rate", "Rate", rp_rate_format (text, (uint64_t) (rate * 1000 + 0.5)));
    s_write_time (out, service, "p50_us", "p50");
    s_write_time (out, service, "p99_us", "p99");
    s_write_count (out, service, "waiting", "Waiting");
    s_write_time (out, service, "oldest_us", "Oldest");
    s_write_count (out, service, "running", "Running");
    s_write_workers (out, service);
    s_write_count (out, service, "failed", "Failed");
    fputs ("</tr>\n", out);
}

static void s_write_services (FILE *out, const json_t *overview)
{
    size_t index;
    json_t *service;
    json_array_foreach (json_object_get (overview, "services"), index, service)
      s_write_service (out, service);
}

/*  ---- The whole ------------------------------------------------------------------------------ */

static void s_write_sentence (FILE *out, const json_t *overview)
{
    fprintf (
      out, "<p id=\"sentence\" data-state=\"%s\">", overview ? s_text (overview, "state") : "");
    s_escape (out, overview ? s_text (overview, "text") : "A token is wanted to see this broker.");
    fputs ("</p>", out);
}

static void s_write_broker (FILE *out, const json_t *overview)
{
    char time[RP_UNITS_TEXT_MAX];
    if (!overview)
        return;
    s_escape (out, s_text (overview, "version"));
    fputs (" · ", out);
    const json_t *endpoints = json_object_get (overview, "endpoints");
    const char *endpoint = json_string_value (json_array_get (endpoints, 0));
    s_escape (out, endpoint ? endpoint : "");
    fprintf (
      out, " · up %s", rp_duration_format (time, (int64_t) s_number (overview, "uptime_us")));
}

static const struct {
    const char *mark;
    void (*write) (FILE *out, const json_t *overview);
} s_marks[] = {
  {"<!--broker-->", s_write_broker},
  {"<!--sentence-->", s_write_sentence},
  {"<!--services-->", s_write_services},
};

/*  Writes the page up to the end, each mark replaced; the marks are in their order.  */
static void s_write (FILE *out, const json_t *overview)
{
    const char *at = rp_dashboard_page;
    for (size_t index = 0; index < sizeof s_marks / sizeof *s_marks; index++) {
        const char *mark = strstr (at, s_marks[index].mark);
        if (!mark)
            continue;
        fwrite (at, 1, (size_t) (mark - at), out);
        s_marks[index].write (out, overview);
        at = mark + strlen (s_marks[index].mark);
    }
    fputs (at, out);
}

char *rp_dashboard_write (json_t *overview, size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream (&text, size);
    if (!out)
        return NULL;
    s_write (out, overview);
    bool whole = !ferror (out);
    if (fclose (out) == 0 && whole)
        return text;
    free (text);
    return NULL;
}
