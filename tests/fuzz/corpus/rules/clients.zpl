client = "batch-*"
    weight = 2
client = desk
    weight = 9
    call = x
client = a*b
