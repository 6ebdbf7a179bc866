limits
    heartbeat_min = 10s
    heartbeat_max = 1s
    rejoin_grace = 1ms
