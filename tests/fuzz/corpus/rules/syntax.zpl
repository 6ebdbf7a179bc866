	role = a
role = 'a
    call = x
  call = y
role = b
        call = x
    call = a#b
    call =
