/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/pages.h"

#include <string.h>

#include "broker/admin/dashboard.h"
#include "broker/admin/exposition.h"
#include "broker/admin/http_answers.h"
#include "broker/admin/json.h"
#include "broker/admin/overview.h"
#include "broker/admin/prometheus.h"

static enum MHD_Result s_status (struct MHD_Connection *connection, const rp_snapshot_t *snapshot)
{
    return rp_http_queue_json (connection, rp_json_status (snapshot));
}

static enum MHD_Result s_services (struct MHD_Connection *connection, const rp_snapshot_t *snapshot)
{
    return rp_http_queue_json (connection, rp_json_services (snapshot));
}

static enum MHD_Result s_workers (struct MHD_Connection *connection, const rp_snapshot_t *snapshot)
{
    return rp_http_queue_json (connection, rp_json_workers (snapshot));
}

/*  OpenMetrics for who asks for it rather than for text, as Prometheus does.  */
static enum MHD_Result s_metrics (
  struct MHD_Connection *connection, const rp_snapshot_t *snapshot, rp_page_metrics_t *metrics)
{
    const char *accept = MHD_lookup_connection_value (connection, MHD_HEADER_KIND, "Accept");
    bool open = accept && rp_exposition_is_open (accept);
    rp_http_shared_t *shared = open ? &metrics->open : &metrics->plain;
    if (!shared->response && rp_http_shared_fits (connection, shared)) {
        size_t size = 0;
        char *text = rp_prometheus_write (snapshot, open, &size);
        rp_http_shared_set (shared, text, size,
          open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8");
    }
    return rp_http_shared_queue (connection, shared);
}

void rp_page_metrics_drop (rp_page_metrics_t *self)
{
    rp_http_shared_drop (&self->plain);
    rp_http_shared_drop (&self->open);
}

static enum MHD_Result s_overview (struct MHD_Connection *connection, const rp_snapshot_t *snapshot)
{
    return rp_http_queue_json (connection, rp_overview_json (snapshot));
}

static enum MHD_Result s_service (struct MHD_Connection *connection, const rp_snapshot_t *snapshot)
{
    const char *name = MHD_lookup_connection_value (connection, MHD_GET_ARGUMENT_KIND, "name");
    if (!name)
        return rp_http_say (
          connection, MHD_HTTP_BAD_REQUEST, "name a service: /api/service?name=NAME");
    bool found;
    json_t *service = rp_overview_service_json (snapshot, name, &found);
    if (!found)
        return rp_http_say (
          connection, MHD_HTTP_NOT_FOUND, "there is no such service; see /api/services");
    return rp_http_queue_json (connection, service);
}

static enum MHD_Result s_dashboard (
  struct MHD_Connection *connection, const rp_snapshot_t *snapshot)
{
    size_t size = 0;
    json_t *overview = snapshot ? rp_overview_json (snapshot) : NULL;
    char *text = snapshot && !overview ? NULL : rp_dashboard_write (overview, &size);
    json_decref (overview);
    return rp_http_queue_page (connection, text, size, rp_dashboard_policy);
}

static enum MHD_Result s_live (struct MHD_Connection *connection, bool draining)
{
    (void) draining;
    return rp_http_say (connection, MHD_HTTP_OK, "ok");
}

static enum MHD_Result s_ready (struct MHD_Connection *connection, bool draining)
{
    if (draining)
        return rp_http_say (connection, MHD_HTTP_SERVICE_UNAVAILABLE, "draining");
    return rp_http_say (connection, MHD_HTTP_OK, "ok");
}

static const rp_page_t s_pages[] = {
  {.path = "/", .bare = true, .answer = s_dashboard},
  {.path = "/livez", .life = s_live},
  {.path = "/readyz", .life = s_ready},
  {.path = "/metrics", .share = s_metrics},
  {.path = "/api/status", .answer = s_status},
  {.path = "/api/services", .answer = s_services},
  {.path = "/api/workers", .answer = s_workers},
  {.path = "/api/overview", .answer = s_overview},
  {.path = "/api/service", .answer = s_service},
};

const rp_page_t *rp_page_find (const char *path)
{
    for (size_t index = 0; index < sizeof s_pages / sizeof *s_pages; index++)
        if (strcmp (s_pages[index].path, path) == 0)
            return &s_pages[index];
    return NULL;
}
