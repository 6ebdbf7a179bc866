a = '
	b
   c
        d = 1
limits
    max_body = "
    max_body = 1#2
log = 1
