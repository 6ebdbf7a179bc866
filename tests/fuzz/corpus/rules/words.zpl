rol = a
    x = 1
call = x
role = a
    cal = x
    open = 0
    rate = x
    open_bytes = 99999999TiB
    observe = 2
    role = a
    call
        x = 1
    call = y
        z
