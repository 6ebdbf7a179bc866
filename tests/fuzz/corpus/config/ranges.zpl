limits
    max_clients = 99999999999999999999
    max_body = 0.1234567KiB
    drain_limit = 18446744073709551615h
    max_boby = 1
