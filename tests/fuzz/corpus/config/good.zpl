bind = tcp://127.0.0.1:5555
bind = "ipc:///tmp/riposte#1"  # quoted
log
    level = debug
limits
    max_body = 16MiB
    heartbeat_min = 1.5s
    max_clients = 100
