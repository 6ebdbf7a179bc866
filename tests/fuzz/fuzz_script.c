/*  Fuzzer of the scripts of `riposte talk`, and of the functions that show a peer's text.

    SPDX-License-Identifier: MPL-2.0

    The bytes are a script, and a text from a peer. A script is read whole, or one line says what is
    wrong; a text that is shown has no bytes that control a terminal.
*/

#include <string.h>

#include "client/cli/script.h"
#include "client/cli/text.h"
#include "tests/support/bytes.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void s_read_script (const char *text, size_t size)
{
    rp_script_variable_t items[2];
    bytes_require (rp_script_variable ("user=ada", &items[0]), "a variable that is none");
    bytes_require (rp_script_variable ("empty=", &items[1]), "an empty variable that is none");
    rp_script_variables_t variables = {.items = items, .count = 2};
    char reason[RP_SCRIPT_REASON_MAX] = "";
    rp_script_t script = {0};
    size_t line = 0, lines = 1;
    for (size_t at = 0; at < size; at++)
        lines += text[at] == '\n';
    rp_script_outcome_t outcome = rp_script_read (&script, text, size, &variables, &line, reason);
    if (outcome == RP_SCRIPT_WRONG) {
        bytes_require (line >= 1 && line <= lines, "wrong in a line that there is not");
        bytes_require (memchr (reason, '\0', sizeof reason) && reason[0] && !strchr (reason, '\n'),
          "wrong without a line that says why");
    }
    else
        bytes_require (outcome == RP_SCRIPT_REQUEST, "neither read nor wrong");
    bytes_require (script.count <= lines, "more requests than lines");
    for (size_t index = 0; index < script.count; index++)
        bytes_require (script.requests[index].body != NULL, "a request without a body");
    rp_script_free (&script);
}

static void s_show (const char *text, size_t size)
{
    char *visible = rp_text_visible (text, size);
    bytes_require (visible != NULL, "nothing to show");
    for (const char *at = visible; *at; at++)
        bytes_require ((unsigned char) *at >= 0x20 && *at != 0x7f, "what steers a terminal");
    size_t shown = strlen (visible);
    size_t width = rp_text_width (visible, shown);
    bytes_require (width <= shown, "wider than its bytes");
    bytes_require (rp_text_fit (visible, shown, width) == shown, "it does not fit into its width");
    for (size_t columns = 0; columns < width && columns < 20; columns++) {
        size_t fits = rp_text_fit (visible, shown, columns);
        bytes_require (fits <= shown && rp_text_width (visible, fits) <= columns, "cut too late");
    }
    char *again = rp_text_visible (visible, shown);
    bytes_require (again && strcmp (again, visible) == 0, "what can be shown is shown otherwise");
    free (again);
    free (visible);
    char *coded = rp_text_base64 (text, size);
    bytes_require (coded && strlen (coded) == (size + 2) / 3 * 4, "base64 of another length");
    free (coded);
    (void) rp_text_width (text, size);
    (void) rp_text_fit (text, size, 7);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    s_read_script ((const char *) data, size);
    s_show ((const char *) data, size);
    return 0;
}
