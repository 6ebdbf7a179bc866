#!/bin/sh
# A client that runs for ever: has the brokers keep a job, fetches its result, and prints a line for each.
#
# SPDX-License-Identifier: MPL-2.0
#
#     orders
#
# Each order has an idempotency key, so it may be sent again until a broker has accepted it; and once its id is known, its
# result is asked for again until it is there. So no order fails, whatever is lost meanwhile: it takes longer. SIGTERM
# ends it after the order. Options of `riposte` go into the environment, and:
#
#     ORDERS_PAUSE         seconds between two orders (1)
#     ORDERS_TRY           printed at the end of each line

round=0
stop=
trap 'stop=yes' TERM INT

# again COMMAND...: runs it until it succeeds, or fails with what will not change. Counts in `tries`.
again ()
{
    until tries=$((tries + 1)) && said=$("$@"); do
        case $? in
            3 | 5 | 7) ;; # no broker, no result yet, or the store cannot be reached: the reason is on standard error
            *) return 1 ;;
        esac
        [ -z "$stop" ] || return 1
        sleep 1
    done
}

order ()
{
    name=$(hostname)-$round
    tries=0
    if ! again riposte send upper "$name" --key "$name"; then
        echo "order $round: NOT ACCEPTED"
        return
    fi
    id=$said
    echo "order $round: accepted as job $id"
    if again riposte result "$id" --wait 10s; then
        echo "order $round: $said, after $tries commands${ORDERS_TRY:+   try: $ORDERS_TRY}"
    else
        echo "order $round: FAILED; try: riposte job $id"
    fi
}

while [ -z "$stop" ]; do
    round=$((round + 1))
    order
    [ -n "$stop" ] || sleep "${ORDERS_PAUSE:-1}" &
    wait $! # unlike sleep, it is ended by a signal
done
echo "ended after $round orders"
