/*  riposte ping: measures the round trip to the broker.

    SPDX-License-Identifier: MPL-2.0
*/

#include <inttypes.h>
#include <stdio.h>

#include "client/cli/cli.h"
#include "common/base/units.h"

static const char s_service[] = "riposte.ping";

/*  Bytes of an endpoint as the list of brokers names it.  */
#define S_BROKER_MAX 1024u

typedef struct {
    char broker[S_BROKER_MAX]; /* the broker that answered last */
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

static void s_tell_pong (const rp_cli_t *self, const s_times_t *times, uint64_t time)
{
    uint64_t number = times->count;
    json_t *object;
    char text[RP_UNITS_TEXT_MAX];
    switch (self->options.output) {
        case RP_OUTPUT_JSON: // one object, at the end
            break;
        case RP_OUTPUT_JSONL:
            object = json_object ();
            rp_output_set (object, "number", json_integer ((json_int_t) number));
            rp_output_set (object, "server", rp_output_text (times->broker));
            rp_output_set (object, "total_us", json_integer ((json_int_t) time));
            rp_output_json (RP_OUTPUT_JSONL, object);
            break;
        case RP_OUTPUT_CSV:
            printf ("%" PRIu64 ",%" PRIu64 "\n", number, time);
            break;
        default:
            if (!self->options.quiet)
                printf (
                  "pong from %s in %s\n", times->broker, rp_duration_format (text, (int64_t) time));
            break;
    }
    fflush (stdout);
}

static void s_tell_times (const rp_cli_t *self, const s_times_t *times)
{
    uint64_t mean = times->sum / times->count;
    if (self->options.output == RP_OUTPUT_JSON) {
        json_t *object = json_object ();
        rp_output_set (object, "server", rp_output_text (times->broker));
        rp_output_set (object, "count", json_integer ((json_int_t) times->count));
        rp_output_set (object, "least_us", json_integer ((json_int_t) times->least));
        rp_output_set (object, "mean_us", json_integer ((json_int_t) mean));
        rp_output_set (object, "most_us", json_integer ((json_int_t) times->most));
        rp_output_json (RP_OUTPUT_JSON, object);
    }
    else if (self->options.output == RP_OUTPUT_TABLE && self->options.count > 1
             && !self->options.quiet) {
        char least[RP_UNITS_TEXT_MAX];
        char middle[RP_UNITS_TEXT_MAX];
        char most[RP_UNITS_TEXT_MAX];
        printf ("%" PRIu64 " ping%s: least %s, mean %s, most %s\n", times->count,
          times->count == 1 ? "" : "s", rp_duration_format (least, (int64_t) times->least),
          rp_duration_format (middle, (int64_t) mean),
          rp_duration_format (most, (int64_t) times->most));
    }
}

/*  Sends one request to the broker. Returns 0 and the round trip in *time, or the exit code after
    an error was written.  */
static int s_ping (rp_cli_t *self, s_times_t *times, uint64_t *time)
{
    int code = 0;
    rp_call_t *call = rp_cli_call_new (self, s_service, NULL, 0, &code);
    rp_reply_t *reply = call ? rp_cli_perform (self, s_service, 0, &call, &code) : NULL;
    if (!reply)
        return code;
    rp_error_t error = rp_error_of (reply, s_service, self->options.server);
    *time = rp_reply_total_us (reply);
    if (error.status == RP_CANCELLED && times->count > 0)
        code = rp_status_exit_code (RP_INTERRUPTED); // the times written so far are enough
    else if (error.status != RP_OK)
        code = rp_cli_tell (self, &error);
    else if (*rp_client_broker (self->client, times->broker, sizeof times->broker) == '\0')
        snprintf (times->broker, sizeof times->broker, "%s", self->options.server);
    rp_reply_destroy (&reply);
    return code;
}

/*  Runs until all pings are done, one fails, a signal comes, or the reader is gone.  */
static int s_ping_all (rp_cli_t *self, s_times_t *times)
{
    uint64_t count = self->options.count > 0 ? self->options.count : 1;
    while (times->count < count && !ferror (stdout)) {
        uint64_t time = 0;
        int code = s_ping (self, times, &time);
        if (code != 0)
            return code;
        s_note (times, time);
        s_tell_pong (self, times, time);
    }
    return 0;
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
    s_times_t times = {0};
    code = s_ping_all (self, &times);
    if (times.count > 0 && (code == 0 || rp_cli_interrupted ()))
        s_tell_times (self, &times);
    return code;
}
