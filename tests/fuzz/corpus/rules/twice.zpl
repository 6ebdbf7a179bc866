role = a
role = a
    call = x
    call = x
principal = p
    role = a
    role = a
    role = b
    open = 1
    open = 2
principal = p
principal = "a b"
principal
