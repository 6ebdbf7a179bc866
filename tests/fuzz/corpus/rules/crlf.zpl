role = a
    call = x
principal = ada
    role = a
