role = a
    call = bill*
    call = *.x
    call = ""
    call = riposte.*
    serve = mmi.service
    call = .*
