bind = tcp://127.0.0.1:5555
plain = "hello=tcp://127.0.0.1:5559,tcp://127.0.0.1:5560"
plain = 'a b=ipc:///tmp/front#1,tcp://*:*'
plain = mmi.hello=tcp://127.0.0.1:1,tcp://127.0.0.1:2
plain = hello=tcp://127.0.0.1:1
