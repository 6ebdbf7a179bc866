/*  Fuzzer of Titanic: bytes are read as a request for one of its services, and as the answer to it.

    SPDX-License-Identifier: MPL-2.0

    The first byte chooses the service, the next ten are command, status and job of an answer; then come
    frames, each a byte of size and as many bytes. The native request that is made has to be one, about the
    job of the UUID and no other; what is written of the answer has to be read as the same job.
*/

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <riposte/error.h>

#include "broker/protocol/titanic.h"
#include "common/wire/name.h"
#include "tests/support/frames.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void s_require (int condition, const char *what)
{
    if (condition)
        return;
    fprintf (stderr, "broken: %s\n", what);
    abort ();
}

static void s_split (frames_t *message, const uint8_t *data, size_t size)
{
    while (size > 0 && message->count < RP_FRAMES_MAX) {
        size_t frame = data[0] < size - 1 ? data[0] : size - 1;
        frames_add (message, data + 1, frame);
        data += 1 + frame;
        size -= 1 + frame;
    }
}

static bool s_is_name (const rp_head_t *head, const char *name)
{
    return head->name_size == strlen (name) && memcmp (head->name, name, head->name_size) == 0;
}

/*  Reads a request; returns the job of a question, 0 if it is about none.  */
static uint64_t s_read (const char *service, const frames_t *message)
{
    rp_titanic_request_t made;
    memset (&made, 0xee, sizeof made);
    rp_head_t head = {.command = RP_COMMAND_REQUEST,
      .id = 1,
      .attempts = 1,
      .name = service,
      .name_size = (uint8_t) strlen (service)};
    rp_titanic_read (&made, message->frames, message->count, 0, &head);
    s_require (rp_name_is_valid (head.name, head.name_size), "a bad name");
    s_require (made.inlined_size <= sizeof made.inlined, "a question that is cut");
    if (head.flags & RP_FLAG_DURABLE) {
        bool named = !s_is_name (&head, service);
        s_require (
          head.flags == RP_FLAG_DURABLE && made.inlined_size == 0, "a job with a question");
        s_require (made.body == (named ? 1u : 0u), "a job with another body");
        s_require (
          !named || !rp_name_is_reserved (head.name, head.name_size), "a job for the broker");
        return 0;
    }
    s_require (
      head.flags == RP_FLAG_INLINE && made.body == message->count, "a question with a body");
    s_require (s_is_name (&head, "riposte.result") || s_is_name (&head, "riposte.remove"),
      "a question that there is not");
    char question[sizeof made.inlined + 1] = "", again[sizeof question];
    memcpy (question, made.inlined, made.inlined_size);
    uint64_t job = 0;
    s_require (sscanf (question, "{\"id\":\"%" SCNu64, &job) == 1, "a question about nothing");
    snprintf (again, sizeof again, "{\"id\":\"%" PRIu64 "\"}", job);
    s_require (strcmp (question, again) == 0, "a question that is no JSON");
    s_require (job <= INT64_MAX, "a job that no store has");
    return job;
}

/*  Writes an answer, and reads the UUID that it has.  */
static void s_write (const char *service, const rp_head_t *head)
{
    rp_titanic_answer_t answer;
    memset (&answer, 0xee, sizeof answer);
    rp_titanic_write (&answer, service, strlen (service), head);
    s_require (strlen (answer.status) == 3, "no status");
    bool good = strcmp (answer.status, "200") == 0 || strcmp (answer.status, "300") == 0;
    s_require (!answer.uuid[0] || good, "a UUID with an error");
    s_require (!answer.told || !answer.body || head->status != RP_OK, "a body that is explained");
    if (head->command != RP_COMMAND_ACCEPTED)
        return;
    s_require (strlen (answer.uuid) == RP_TITANIC_UUID, "a job without a UUID");
    frames_t message = frames_of (NULL);
    frames_add (&message, answer.uuid, RP_TITANIC_UUID);
    uint64_t job = s_read ("titanic.reply", &message);
    s_require (job == (head->job <= INT64_MAX ? head->job : 0), "a UUID of another job");
    frames_free (&message);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    static const char *const services[] = {"titanic.request", "titanic.reply", "titanic.close"};
    if (size < 11)
        return 0;
    const char *service = services[data[0] % 3];
    rp_head_t head = {.command = data[1] % 2 ? RP_COMMAND_ACCEPTED : RP_COMMAND_REPLY,
      .status = data[2] % (RP_STATUS_LAST + 1)};
    memcpy (&head.job, data + 3, sizeof head.job);
    s_write (service, &head);
    frames_t message = frames_of (NULL);
    s_split (&message, data + 11, size - 11);
    (void) s_read (service, &message);
    frames_free (&message);
    return 0;
}
