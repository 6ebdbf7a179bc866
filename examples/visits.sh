#!/bin/sh
# A client that runs for ever: calls the services `site` and `upper` in rounds, and prints a line
# for each round, whether it succeeded or not.
#
# SPDX-License-Identifier: MPL-2.0
#
#     visits [SCRIPT]
#
# A round is one conversation with `site` (SCRIPT, by default examples/site.talk) and one request to
# `upper`. SIGTERM ends it after the round. Options of `riposte` go into the environment, and:
#
#     VISITS_PAUSE         seconds between two rounds (2)
#     VISITS_TRY           printed at the end of each line
#     RIPOSTE_OUTPUT=jsonl each reply as a line of JSON, and each round as {"visit":1,...}: its exit
#                          codes (0 for a reply without an error), and the user whom it logged in as

script=${1:-$(dirname "$0")/site.talk}
round=0
stop=
trap 'stop=yes' TERM INT

visit ()
{
    user=$(hostname)-$round
    said=$(riposte talk site "$script" --set "user=$user")
    talk=$?
    upper=$(riposte call upper "$user")
    call=$?
    if [ "$RIPOSTE_OUTPUT" = jsonl ]; then
        printf '%s\n' "$said" "$upper"
        printf '{"visit":%d,"user":"%s","talk":%d,"call":%d}\n' "$round" "$user" "$talk" "$call"
        return
    fi
    # The last line is the summary. The reason of a failure is on standard error already.
    said=${said##*"
"}
    [ "$talk" -eq 0 ] || said="FAILED with exit code $talk; ${said:-no request sent}"
    [ "$call" -eq 0 ] || upper="FAILED with exit code $call"
    echo "round $round: site: $said, upper: $upper${VISITS_TRY:+   try: $VISITS_TRY}"
}

while [ -z "$stop" ]; do
    round=$((round + 1))
    visit
    [ -n "$stop" ] || sleep "${VISITS_PAUSE:-2}" &
    wait $! # unlike sleep, it is ended by a signal
done
if [ "$RIPOSTE_OUTPUT" = jsonl ]; then
    echo "{\"visits\":$round}"
else
    echo "ended after $round rounds"
fi
