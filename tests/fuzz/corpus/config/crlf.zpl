log
    level = "info"
