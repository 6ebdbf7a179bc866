/*  riposte ping: is there a broker, and how far away is it?

    SPDX-License-Identifier: MPL-2.0
*/

#include <inttypes.h>
#include <stdio.h>

#include "client/cli/cli.h"
#include "common/base/units.h"

static const char s_service[] = "riposte.ping";

typedef struct {
    uint64_t count;
    uint64_t least;
    uint64_t most;
    uint64_t sum; /* µs */
} s_times_t;

static void s_note (s_times_t *self, uint64_t time)
{
    if (self->count == 0 || time < self->least)
        self->least = time;
    if (time > self->most)
        self->most = time;
    self->sum += time;
    self->count++;
}

static void s_tell_pong (const rp_cli_t *self, uint64_t number, uint64_t time)
{
    char text[RP_UNITS_TEXT_MAX];
    switch (self->options.output) {
        case RP_OUTPUT_JSON: // one object, at the end
            break;
        case RP_OUTPUT_JSONL:
            printf ("{\"number\":%" PRIu64 ",\"total_us\":%" PRIu64 "}\n", number, time);
            break;
        case RP_OUTPUT_CSV:
            printf ("%" PRIu64 ",%" PRIu64 "\n", number, time);
            break;
        default:
            printf ("pong from %s in %s\n", self->options.server,
              rp_duration_format (text, (int64_t) time));
            break;
    }
    fflush (stdout);
}

static void s_tell_times (const rp_cli_t *self, const s_times_t *times)
{
    uint64_t mean = times->sum / times->count;
    if (self->options.output == RP_OUTPUT_JSON) {
        json_t *object = json_object ();
        rp_output_set (object, "server", rp_output_text (self->options.server));
        rp_output_set (object, "count", json_integer ((json_int_t) times->count));
        rp_output_set (object, "least_us", json_integer ((json_int_t) times->least));
        rp_output_set (object, "mean_us", json_integer ((json_int_t) mean));
        rp_output_set (object, "most_us", json_integer ((json_int_t) times->most));
        rp_output_json (RP_OUTPUT_JSON, object);
    }
    else if (self->options.output == RP_OUTPUT_TABLE && times->count > 1 && !self->options.quiet) {
        char least[RP_UNITS_TEXT_MAX];
        char middle[RP_UNITS_TEXT_MAX];
        char most[RP_UNITS_TEXT_MAX];
        printf ("%" PRIu64 " pings: least %s, mean %s, most %s\n", times->count,
          rp_duration_format (least, (int64_t) times->least),
          rp_duration_format (middle, (int64_t) mean),
          rp_duration_format (most, (int64_t) times->most));
    }
}

/*  Returns 0 and the round trip, or the exit code after it has told why.  */
static int s_ping (rp_cli_t *self, uint64_t *time)
{
    int code = 0;
    rp_call_t *call = rp_cli_call_new (self, s_service, NULL, 0, &code);
    rp_reply_t *reply = call ? rp_cli_perform (self, s_service, 0, &call, &code) : NULL;
    if (!reply)
        return code;
    rp_error_t error = rp_error_of (reply, s_service, self->options.server);
    *time = rp_reply_total_us (reply);
    if (error.status != RP_OK)
        code = rp_cli_tell (self, &error);
    rp_reply_destroy (&reply);
    return code;
}

int rp_cli_ping (rp_cli_t *self)
{
    if (self->arguments.count > 0)
        return rp_cli_usage ("ping takes no argument, not \"%s\"; the broker is named by --server",
          self->arguments.items[0]);
    int code = rp_cli_connect (self, 1);
    if (code != 0)
        return code;
    if (self->options.output == RP_OUTPUT_CSV)
        puts ("number,total_us");
    uint64_t count = self->options.count > 0 ? self->options.count : 1;
    s_times_t times = {0};
    while (code == 0 && times.count < count) {
        uint64_t time = 0;
        code = s_ping (self, &time);
        if (code == 0) {
            s_note (&times, time);
            s_tell_pong (self, times.count, time);
        }
    }
    if (code == 0)
        s_tell_times (self, &times);
    return code;
}
